"""What an adapter says about its orchestrator: one object, and the core asks it."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from daskbridge.errors import PluginError, unknown
from daskbridge.plugins._types import nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins._types import Logs, Run, Step


@dataclass(frozen=True)
class Orchestrator:
    """Say what the core must know of one orchestrator; every function runs in the driver.

    Each has a default that says nothing. All but ``detect`` are asked only where ``detect`` is true, and in
    the context (:mod:`contextvars`) of the task.

    ``loaded``
        A module of the orchestrator's, such as ``temporalio.activity``. Where this process has not imported
        it, none of the orchestrator's tasks runs here, and nothing is called: functions may import it.
    ``detect()``
        Tell whether this is a task of the orchestrator. Must be cheap, and must import no orchestrator that
        is not there: see ``loaded``.
    ``identity()``
        Return the run's name, for people.
    ``code_root()``
        Return the directory of the user's project, where that is all to say of the code.
    ``code_source(run)``
        Return which code the nodes get, as the hook ``daskbridge_code_source`` does, which goes first. By
        default that is the project of the decorated function's module.
    ``flow()``
        Return the id of the flow run that the task belongs to, for clusters that tasks of a flow share
        within a process.
    ``flow_open()``
        Return a function that tells, from any thread, whether that flow run goes on in this process: a shared
        cluster then ends with it, not with the last task that is in.
    ``logger(run)``
        Return the logger, or an adapter of one, for what workers print and log; by default
        ``daskbridge.worker``.
    ``around()``
        Return a context manager, entered in the thread of the task for each call of a decorated function,
        before anything starts; its cluster is gone when it is left. An error may leave it as another one, in
        the orchestrator's words; to swallow one has no effect.
    ``cancelled()``
        Tell whether the task was told to end. Looked at several times a second, on the core's loop. Once it
        is true a start, or the body's waiting for results, ends in
        :class:`~daskbridge.errors.RunCancelled`.
    ``on_ready(run)``
        Publish links as soon as the cluster can be used: a transient dashboard is dead by the end.
    ``on_step(step, run)``
        Hear of a step as it begins, waits (at least every 5 s) and ends, for heartbeats and progress. One
        call at a time; where calls are slow, what is new of a step replaces what was not told of it yet.
    ``on_close(run)``
        Sum the run up, after the cluster ended or was left to others.

    The last three may block, for five seconds. Their errors are logged and change nothing.

    >>> import sys
    >>> acme = Orchestrator("acme", loaded="acme.tasks", detect=lambda: sys.modules["acme.tasks"].running())
    >>> acme.here()
    False
    """

    name: str
    detect: Callable[[], bool]
    identity: Callable[[], str | None] = nothing
    code_root: Callable[[], Path | None] = nothing
    on_ready: Callable[[Run], None] = nothing
    on_close: Callable[[Run], None] = nothing
    flow: Callable[[], str | None] = nothing
    flow_open: Callable[[], Callable[[], bool] | None] = nothing
    logger: Callable[[Run], Logs | None] = nothing
    code_source: Callable[[Run], CodeBundle | CodeSpec | InstalledCode | Literal[False] | None] = nothing
    cancelled: Callable[[], bool | None] = nothing
    on_step: Callable[[Step, Run], None] = nothing
    around: Callable[[], AbstractContextManager[object] | None] = nothing
    loaded: str = ""

    @classmethod
    def at(cls, name: str, module: str, *, loaded: str) -> Orchestrator:
        """Return an orchestrator whose functions are those of ``module``, imported once ``loaded`` is.

        They have the names of this class's fields. A public function of another name in that module raises
        :class:`~daskbridge.errors.PluginError` when the first is called: it would be lost.
        """

        def named(field: str) -> Callable[..., Any]:
            def call(*given: object) -> Any:  # noqa: ANN401 -- what the function returns
                return getattr(_functions(module), field, nothing)(*given)

            return call

        return cls(name, loaded=loaded, **{field: named(field) for field in FUNCTIONS})

    def here(self) -> bool:
        """Tell whether this process runs a task of this orchestrator."""
        return (not self.loaded or self.loaded in sys.modules) and bool(self.detect())


#: The fields of an orchestrator that are functions.
FUNCTIONS = tuple(each.name for each in fields(Orchestrator) if each.name not in {"name", "loaded"})


def _functions(module: str) -> Any:  # noqa: ANN401 -- a module of the adapter's
    found = import_module(module)
    for name, value in vars(found).items():
        own = inspect.isfunction(value) and value.__module__ == module and not name.startswith("_")
        if own and name not in FUNCTIONS:
            msg = f"{module}: {unknown('function of an orchestrator', name, FUNCTIONS)}"
            raise PluginError(msg, hint="start the names of other functions with an underscore")
    return found
