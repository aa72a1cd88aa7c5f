"""Prefect tasks whose body has a Dask cluster: ``on_dask`` and ``dask_task``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from prefect import Flow, Task, task

import daskbridge
from daskbridge_prefect._source import seen_as

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daskbridge import CodeSpec
    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.runtime import DaskOptions, Scope
    from daskbridge.serialization import TopologyLike

P = ParamSpec("P")
R = TypeVar("R")
AnyTask = TypeVar("AnyTask", bound=Task[..., Any])

#: The lists and sets of a task that are its own, not another's with the same options.
OWN = (
    "tags",
    "on_completion_hooks",
    "on_failure_hooks",
    "on_running_hooks",
    "on_rollback_hooks",
    "on_commit_hooks",
)


class OnDask(Protocol):
    """Decorate a task, or the function that becomes one; each stays what it is."""

    @overload
    def __call__(self, function: AnyTask, /) -> AnyTask: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def on_dask(topology: TopologyLike | Callable[..., TopologyLike], **options: Unpack[DaskOptions]) -> OnDask:
    """Decorate a Prefect task so that each of its attempts has a Dask cluster, gone when the attempt ends.

    Goes above or below ``@task``, on synchronous and ``async`` functions and on generators of both kinds.
    What Prefect knows of the task (its options, key, signature and types) stays as it is, and so does
    all that one does with a task: ``submit``, ``map``, ``with_options``, calls outside a flow. A result that
    Prefect has cached starts no cluster; each retry has a fresh one. Starting it is part of the
    task: ``timeout_seconds`` includes it, ``Dask(start_timeout=)`` bounds it alone, and if it fails the task
    fails with a :class:`~daskbridge.errors.DaskbridgeError` that says what to do.

    ``topology`` and ``options`` are those of :func:`daskbridge.on_dask`. ``topology`` may be a function of
    those of the task's arguments that it names. With ``scope="flow"`` the tasks of one flow run share a
    cluster if their topologies are equal; it ends with the flow run. ``max_clusters`` bounds how many runs
    of the task have a cluster at a time in this process: ``map`` over a thousand items would ask for a
    thousand.

    The topology is checked when the decorator is applied. Raises TypeError for a flow.

    >>> from daskbridge_prefect import Dask, WorkerGroup
    >>> @on_dask(Dask(workers=WorkerGroup(2)))
    ... @task(retries=2)
    ... def total(n: int) -> int:
    ...     from distributed import get_client
    ...     client = get_client()
    ...     return sum(client.gather(client.map(abs, range(-n, 0))))
    >>> total.retries, type(total).__name__
    (2, 'Task')
    """
    wrap = daskbridge.on_dask(topology, **options)

    def decorate(given: Any) -> Any:  # noqa: ANN401 -- a task or a function, as OnDask says
        if isinstance(given, Flow):
            msg = f"on_dask got the flow {given.name!r}; expected a task, or the function of one"
            raise TypeError(
                f"{msg}: open the cluster in the flow's body with transient(topology, scope='flow')"
            )
        if not isinstance(given, Task):
            return seen_as(given, wrap(given))
        made = copy.copy(given)  # of a subclass, too
        for name in OWN:
            setattr(made, name, copy.copy(getattr(given, name)))
        # with_options() makes a new task of the function alone, so that has to carry the cluster
        made.fn = seen_as(given.fn, wrap(given.fn))
        return made

    return cast("OnDask", decorate)


def dask_task(  # noqa: PLR0913 -- each but the last is an option of on_dask
    *,
    cluster: TopologyLike | Callable[..., TopologyLike],
    provisioner: str | Provisioner | None = None,
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None = None,
    asynchronous: bool | None = None,
    scope: Scope = "task",
    max_clusters: int | None = None,
    **task_options: Any,  # noqa: ANN401 -- Prefect's own
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a Prefect task whose attempts each have a Dask cluster: ``@on_dask`` and ``@task`` in one line.

    ``cluster`` is the topology; ``task_options`` are those of :func:`prefect.task`, the others those of
    :func:`on_dask`.

    >>> from daskbridge_prefect import Dask
    >>> @dask_task(cluster=Dask(), retries=2, name="count")
    ... def total(n: int) -> int:
    ...     from distributed import get_client
    ...     return get_client().submit(sum, range(n)).result()
    >>> total.name, total.retries
    ('count', 2)
    """
    on_cluster = on_dask(
        cluster,
        provisioner=provisioner,
        code=code,
        asynchronous=asynchronous,
        scope=scope,
        max_clusters=max_clusters,
    )

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        made: Task[P, R] = task(**task_options)(on_cluster(function))
        return made

    return decorate
