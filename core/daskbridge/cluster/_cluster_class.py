"""``cluster-class``: any class or factory of Dask's ``Cluster`` family as a provisioner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from daskbridge.cluster._options import options
from daskbridge.errors import ProvisioningError, TopologyError
from daskbridge.plugins._provisioner import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask


class AnyCluster(Protocol):
    """Name what is used of a cluster object: the synchronous face that all of them share."""

    scheduler_address: str

    def scale(self, n: int) -> object: ...
    def adapt(self, *, minimum: int, maximum: int) -> object: ...
    def close(self) -> object: ...


@dataclass(frozen=True)
class ClusterClass:
    """Start a cluster by calling ``factory(**keywords)`` and end it by its ``close()``.

    For ``SLURMCluster``, ``SSHCluster``, ``KubeCluster``, ``GatewayCluster`` and their like: the
    topology's worker count goes to ``scale`` (or ``adapt``), all else to ``keywords``. In a
    document: ``provisioner_options: {cluster-class: {class: "dask_jobqueue.SLURMCluster",
    keywords: {cores: 4}}}``. The calls block, so they run in a thread.
    """

    factory: Callable[..., AnyCluster] | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(default="cluster-class", init=False)
    capabilities: frozenset[str] = field(default=frozenset({"adaptive"}), init=False)
    adapts: Mapping[str, str] = field(default_factory=dict, init=False)

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError if no class is named or it can't be imported."""
        self._call(topology)

    async def provision(self, topology: Dask, run: Run) -> WrappedCluster:
        """Call the factory, then scale or adapt. Raises ProvisioningError chained from its error."""
        call, workers = self._call(topology), topology.workers
        number = workers.number_of_workers or 1
        handle: WrappedCluster | None = None
        try:
            cluster = await _in_thread(call)
            handle = WrappedCluster(cluster, run)
            if workers.max_workers is not None:
                await asyncio.to_thread(cluster.adapt, minimum=number, maximum=workers.max_workers)
            else:
                await asyncio.to_thread(cluster.scale, number)
        except Exception as error:
            failure = ProvisioningError(
                f"{_title(call)} could not be started: {type(error).__name__}: {error}"
            )
            if handle is not None:
                try:
                    await handle.close("failed to scale")
                except Exception as closing:  # noqa: BLE001 -- any class's any error, kept as a note
                    failure.add_note(f"and it could not be closed: {type(closing).__name__}: {closing}")
            raise failure from error
        except asyncio.CancelledError:
            if handle is not None:
                await asyncio.shield(handle.close("cancelled"))
            raise
        return handle

    async def attach(self, ref: ClusterRef) -> WrappedCluster:
        """Refuse: a cluster object belongs to its process; attach with ``existing``."""
        raise ref.not_ours()

    def _call(self, topology: Dask) -> Callable[[], AnyCluster]:
        given = options(topology, self.name, {"class": str, "keywords": Mapping})
        factory = self.factory
        if factory is None:
            factory = _import(given.get("class"))
        return partial(factory, **{**self.keywords, **given.get("keywords", {})})


class WrappedCluster:
    """Hold a cluster object; its blocking calls run in threads."""

    notes: tuple[str, ...] = ()

    def __init__(self, cluster: AnyCluster, run: Run) -> None:
        self._cluster = cluster
        self._closing: asyncio.Task[None] | None = None
        self.ref = ClusterRef(
            kind="cluster-class",
            name=str(getattr(cluster, "name", run.id)),
            scheduler_address=cluster.scheduler_address,
            owner=f"this run, by {type(cluster).__name__}.close()",
        )

    @property
    def security(self) -> Any:  # noqa: ANN401 -- distributed's Security, or None
        """Return what a client needs to connect, where the cluster has it."""
        return getattr(self._cluster, "security", None)

    async def scale(self, group: str, number: int) -> None:
        """Scale the cluster; it has one group."""
        if group != "default":
            msg = f"there is no worker group {group!r}; {type(self._cluster).__name__} has one: default"
            raise ProvisioningError(msg)
        await asyncio.to_thread(self._cluster.scale, number)

    async def failure(self) -> str | None:
        """Say whether the cluster object itself has failed or closed."""
        status = getattr(getattr(self._cluster, "status", None), "name", "running")
        return f"{type(self._cluster).__name__} is {status}" if status in {"closed", "failed"} else None

    async def logs(self) -> Mapping[str, str]:
        """Return what the cluster's own ``get_logs`` has, if there is one."""
        get_logs = getattr(self._cluster, "get_logs", None)
        found = await asyncio.to_thread(get_logs) if get_logs else {}
        return {str(name): str(text) for name, text in found.items()}

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """Close the cluster object."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(self._close))
        await asyncio.shield(self._closing)

    def request_close(self) -> None:
        """Leave the end to the block: a cluster object has no close that returns at once."""

    def _close(self) -> None:
        self._cluster.close()


async def _in_thread(call: Callable[[], AnyCluster]) -> AnyCluster:
    """Run ``call`` in a thread of its own; cancelled meanwhile, that thread closes what it gets.

    Not in the loop's pool: a loop that ends waits for its pool, and such a call takes minutes.
    """
    loop, lock = asyncio.get_running_loop(), threading.Lock()
    started: asyncio.Future[AnyCluster] = loop.create_future()
    abandoned = False

    def work() -> None:
        try:
            cluster = call()
        except Exception as error:  # noqa: BLE001 -- handed to who waits, or nobody waits
            with lock:
                if not abandoned:
                    loop.call_soon_threadsafe(started.set_exception, error)
            return
        with lock:
            if not abandoned:
                loop.call_soon_threadsafe(started.set_result, cluster)
                return
        cluster.close()

    threading.Thread(target=work, name="daskbridge-cluster-class").start()
    try:
        return await asyncio.shield(started)
    except asyncio.CancelledError:
        with lock:
            abandoned = True
        if started.done() and started.exception() is None:
            await asyncio.to_thread(started.result().close)
        raise


def _import(name: str | None) -> Callable[..., AnyCluster]:
    path = "provisioner_options.cluster-class.class"
    if not name:
        msg = f"{path} is missing; expected a class's dotted name, e.g. 'dask_jobqueue.SLURMCluster'"
        raise TopologyError(msg)
    from distributed.utils import import_term

    try:
        found: Callable[..., AnyCluster] = import_term(name)
    except (ImportError, AttributeError) as error:
        msg = f"{path} is {name!r}, which can't be imported: {error}"
        raise TopologyError(msg, hint="install its package, or correct the name") from error
    return found


def _title(call: Callable[[], AnyCluster]) -> str:
    factory = call.func if isinstance(call, partial) else call
    return getattr(factory, "__qualname__", repr(factory))
