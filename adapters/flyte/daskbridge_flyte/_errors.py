"""daskbridge's errors as Flyte's, so that its backend retries what may succeed later and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flyte.errors import BaseRuntimeError, CustomError, NonRecoverableError, RuntimeSystemError

from daskbridge.errors import DaskbridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def translated() -> Iterator[None]:
    """Raise daskbridge's errors as Flyte's, and keep the notes of all others.

    Flyte's backend sees an error's type as a code and its ``str()``: hints and notes, which are
    apart from it, would be lost.
    """
    try:
        yield
    except DaskbridgeError as error:
        if error.retryable:
            raise RuntimeSystemError(type(error).__name__, _with_notes(error)) from error
        raise NonRecoverableError(_with_notes(error), code=type(error).__name__) from error
    except BaseRuntimeError:
        raise
    except Exception as error:
        if not getattr(error, "__notes__", ()):
            raise
        raise CustomError(type(error).__name__, _with_notes(error)) from error


@contextmanager
def worded() -> Iterator[None]:
    """Move the hints of daskbridge's errors into their messages.

    Of what goes wrong while a task is defined or deployed Flyte's commands print ``str()`` alone.
    """
    try:
        yield
    except DaskbridgeError as error:
        error.args = (_with_notes(error),)
        error.__notes__ = []
        raise


def _with_notes(error: Exception) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", ())])
