"""``on_dask``: a function whose body has a cluster of its own."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from daskbridge.runtime._block import Transient
from daskbridge.runtime._options import Options
from daskbridge.runtime._results import refuse_remains

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.runtime._options import Event
    from daskbridge.runtime._scope import Scope
    from daskbridge.topology import Dask

P = ParamSpec("P")
R = TypeVar("R")


def on_dask(  # noqa: PLR0913 -- each but the first is an option
    topology: Dask,
    *,
    provisioner: str | Provisioner | None = None,
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None = None,
    cancel: Event | None = None,
    name: str = "",
    asynchronous: bool | None = None,
    scope: Scope = "task",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that each call runs with a cluster that is gone when it returns.

    Each call has one of its own, or with ``scope=`` shares one with other calls and blocks.
    Works on synchronous and on ``async`` functions and keeps signature and types; the arguments
    are those of :func:`~daskbridge.transient`. In the body ``distributed.get_client()`` gives the
    client. A returned future or persisted collection raises
    :class:`~daskbridge.errors.ResultOutlivesCluster` while the cluster is still there.

    The topology is checked when the decorator is applied. Raises TypeError for a generator
    function, whose body would outlive the call.

    >>> from daskbridge import Dask, WorkerGroup, on_dask
    >>> @on_dask(Dask(workers=WorkerGroup(2)))
    ... def total(n: int) -> int:
    ...     from distributed import get_client
    ...     client = get_client()
    ...     return sum(client.gather(client.map(abs, range(-n, 0))))
    >>> total(4)
    10
    """
    options = Options(topology, provisioner, code, cancel, name, asynchronous=asynchronous, scope=scope)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            msg = (
                f"on_dask got the generator function {function.__qualname__};"
                " expected a function that returns:"
                " open the cluster around the loop with transient()"
            )
            raise TypeError(msg)
        title = getattr(function, "__qualname__", repr(function))
        own = replace(options, name=name or title, entry=getattr(function, "__module__", None))

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with Transient(own):
                result = function(*args, **kwargs)
                refuse_remains(result)
                return result

        @wraps(function)
        async def arun(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 -- what the coroutine returns
            async with Transient(own):
                result = await cast("Any", function)(*args, **kwargs)
                refuse_remains(result)
                return result

        return cast("Callable[P, R]", arun) if inspect.iscoroutinefunction(function) else run

    return decorate
