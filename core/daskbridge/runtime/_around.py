"""What the orchestrator wants around each call of a decorated function."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from daskbridge.errors import DaskbridgeError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daskbridge.plugins import Orchestrator


@contextmanager
def around(orchestrator: Orchestrator | None) -> Iterator[None]:
    """Enter what the orchestrator wants around one call, if anything.

    An error may leave it as another one. One that is swallowed there goes on: a task that failed is not done.
    """
    manager = orchestrator and orchestrator.around()
    if orchestrator is None or manager is None:
        yield
        return
    if not isinstance(manager, AbstractContextManager):
        hint = "decorate it with contextlib.contextmanager"
        raise unfit(orchestrator, "around", manager, "a context manager or None", hint)
    try:
        manager.__enter__()
    except DaskbridgeError:
        raise
    except Exception as error:
        msg = f"orchestrator {orchestrator.name!r} failed in around(), before a cluster was asked for"
        raise PluginError(f"{msg}: {type(error).__name__}: {error}") from error
    try:
        yield
    except BaseException as error:
        manager.__exit__(type(error), error, error.__traceback__)
        raise
    manager.__exit__(None, None, None)


def unfit(
    orchestrator: Orchestrator,
    function: str,
    answer: object,
    expected: str = "a string or None",
    hint: str | None = None,
) -> PluginError:
    """Word the refusal of what an orchestrator answered."""
    said = f"orchestrator {orchestrator.name!r} answered {function}() with {answer!r}"
    return PluginError(f"{said}; expected {expected}", hint=hint)
