"""``on_dask``: a function whose body has a cluster of its own."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypedDict, TypeVar, cast

from daskbridge.runtime._calls import Calls, wrapped
from daskbridge.runtime._options import Options
from daskbridge.runtime._sizing import Sizing
from daskbridge.runtime._turns import Turns
from daskbridge.serialization._given import is_found_outside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.runtime._options import Event
    from daskbridge.runtime._scope import Scope
    from daskbridge.serialization import TopologyLike
    from daskbridge.topology import Dask

P = ParamSpec("P")
R = TypeVar("R")


class DaskOptions(TypedDict, total=False):
    """Name the options of :func:`on_dask`, for adapters that hand them on.

    >>> from typing import Unpack
    >>> def dask_step(topology: Dask, **options: Unpack[DaskOptions]):
    ...     return on_dask(topology, **options)
    """

    provisioner: str | Provisioner | None
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None
    cancel: Event | None
    name: str
    asynchronous: bool | None
    scope: Scope
    max_clusters: int | None


def on_dask(  # noqa: PLR0913 -- each but the first is an option
    topology: TopologyLike | Callable[..., TopologyLike],
    *,
    provisioner: str | Provisioner | None = None,
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None = None,
    cancel: Event | None = None,
    name: str = "",
    asynchronous: bool | None = None,
    scope: Scope = "task",
    max_clusters: int | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that each call runs with a cluster that is gone when it returns.

    Each call has one of its own, or with ``scope=`` shares one with other calls and blocks.
    Works on synchronous and ``async`` functions and on generators of both kinds, and keeps signature
    and types; the arguments are those of :func:`~daskbridge.transient`. In the body
    ``distributed.get_client()`` gives the client. A returned future or persisted collection raises
    :class:`~daskbridge.errors.ResultOutlivesCluster` while the cluster is still there. A generator's
    cluster starts with its first step and is gone when it ends or is closed.

    ``topology`` has any form that :func:`~daskbridge.serialization.topology_from` knows: a file or a
    configured name is looked up in each call. It may be a function that returns the topology of one call:
    it gets those of the call's arguments that it names. ``max_clusters`` is how many calls may run at a time
    in this process; others wait for their turn, first come, first served.

    The topology is checked when the decorator is applied; one that depends on arguments, in each call
    before anything starts. Raises TypeError for what is no function, such as a task that an orchestrator's
    decorator has made of one.

    >>> from daskbridge import Dask, WorkerGroup, on_dask
    >>> @on_dask(Dask(workers=WorkerGroup(2)))
    ... def total(n: int) -> int:
    ...     from distributed import get_client
    ...     client = get_client()
    ...     return sum(client.gather(client.map(abs, range(-n, 0))))
    >>> total(4)
    10
    """
    size = _per_call(topology)
    options = Options(
        cast("Dask", topology),
        provisioner,
        code,
        cancel,
        name,
        asynchronous=asynchronous,
        scope=scope,
        by_call=size is not None,
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        _refuse_other_than_functions(function)
        title = getattr(function, "__qualname__", repr(function))
        own = replace(options, title=title, entry=getattr(function, "__module__", None))
        sizing = Sizing(size, function) if size is not None else None
        turns = Turns(max_clusters, title) if max_clusters is not None else None
        return cast("Callable[P, R]", wrapped(function, Calls(own, sizing, turns)))

    return decorate


def _refuse_other_than_functions(given: object) -> None:
    """Raise TypeError for what an orchestrator has made of a function: calling that runs no task."""
    if inspect.isroutine(given) or isinstance(given, partial):
        return
    msg = f"on_dask got {given!r}; expected a function"
    if callable(given):
        msg += ": write @on_dask below the decorator that makes a task of it, or pass the object's method"
    raise TypeError(msg)


def _per_call(
    topology: TopologyLike | Callable[..., TopologyLike],
) -> Callable[..., TopologyLike] | None:
    """Return what gives the topology of a call, where it isn't known before: nodes import this, too."""
    if not callable(topology):
        return (lambda: topology) if is_found_outside(topology) else None
    return None if isinstance(topology, type) else topology
