"""``cluster-class``: any class or factory of Dask's ``Cluster`` family as a provisioner."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from daskbridge._threads import in_thread
from daskbridge.cluster._known_classes import advice, installed, refuse
from daskbridge.cluster._options import options
from daskbridge.errors import DaskbridgeError, ProvisioningError, TopologyError
from daskbridge.plugins._provisioner import ClusterRef
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask, WorkerGroup

T = TypeVar("T")

#: Where a document names the class.
CLASS = "provisioner_options.cluster-class.class"


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
    keywords: {cores: 4}}}``. The calls block, so they run in threads. ``keywords`` may hold secrets:
    they are not shown. What is known of the class's commands is looked at first; without ``check``,
    it is not.
    """

    factory: Callable[..., AnyCluster] | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict, repr=False)
    check: bool = True
    name: str = field(default="cluster-class", init=False)
    capabilities: frozenset[str] = field(default=frozenset({"adaptive", "max-lifetime"}), init=False)
    adapts: Mapping[str, str] = field(default_factory=dict, init=False)

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for unknown options and if no class is named; it is not imported yet."""
        given = self._given(topology)
        if self.factory is None and not given.get("class"):
            msg = f"{CLASS} is missing; expected a class's dotted name, e.g. 'dask_jobqueue.SLURMCluster'"
            raise TopologyError(msg)

    async def provision(self, topology: Dask, run: Run) -> WrappedCluster:
        """Call the factory, then scale or adapt.

        Raises TopologyError if its nodes could not start, ProvisioningError chained from its error.
        """
        given = self._given(topology)
        factory = self.factory
        if factory is None:
            factory = await _foreign(f"{CLASS} can't be imported", lambda: _import(given["class"]))
        title = getattr(factory, "__qualname__", repr(factory))
        keywords = {**self.keywords, **given.get("keywords", {})}
        if given.get("check", self.check):
            await _foreign(f"the commands of {title} can't be seen", lambda: refuse(factory, keywords))
        run.hint = advice(factory)
        begin = partial(factory, **keywords)
        cluster = await _foreign(
            f"{title} could not be started", begin, late=lambda late: late.close(), hint=run.hint
        )
        handle = WrappedCluster(cluster)
        try:
            await handle.start(topology.workers, run)
        except BaseException as error:
            await handle.abandon(error)
            raise
        return handle

    def diagnose(self) -> str:
        """Say which distributions with cluster classes are installed."""
        return f"needs a class; of those with one are here: {', '.join(installed()) or 'none'}"

    async def attach(self, ref: ClusterRef) -> WrappedCluster:
        """Refuse: a cluster object belongs to its process; attach with ``existing``."""
        raise ref.not_ours()

    def _given(self, topology: Dask) -> dict[str, Any]:
        return options(topology, self.name, {"class": str, "keywords": Mapping, "check": bool})


class WrappedCluster:
    """Hold a cluster object; its blocking calls run in threads."""

    ref: ClusterRef
    notes: tuple[str, ...] = ()

    def __init__(self, cluster: AnyCluster) -> None:
        self._cluster = cluster
        self._title = type(cluster).__name__
        self._closing: asyncio.Task[object] | None = None
        self._number: int | None = None

    async def start(self, workers: WorkerGroup, run: Run) -> None:
        """Ask for the workers."""
        cluster, number = self._cluster, workers.number_of_workers or 1

        def start() -> None:
            self.ref = ClusterRef(
                kind="cluster-class",
                name=str(getattr(cluster, "name", run.id)),
                scheduler_address=cluster.scheduler_address,
                owner=f"this run, by {self._title}.close()",
            )
            if workers.max_workers is not None:
                cluster.adapt(minimum=number, maximum=workers.max_workers)
            else:
                cluster.scale(number)
                self._number = number

        await _foreign(f"{self._title} could not be started", start)

    @property
    def security(self) -> Any:  # noqa: ANN401 -- distributed's Security, or None
        """Return what a client needs to connect, where the cluster has it."""
        return getattr(self._cluster, "security", None)

    async def scale(self, group: str, number: int) -> None:
        """Scale the cluster; it has one group."""
        if group != "default":
            msg = f"there is no worker group {group!r}; {self._title} has one: default"
            raise ProvisioningError(msg)
        await _foreign(f"{self._title}.scale() failed", lambda: self._cluster.scale(number))
        self._number = number

    async def recall(self) -> None:
        """Have workers started that the cluster object has given up.

        Dask's own classes close one that was restarted and is not there ``lost-worker-timeout`` later, for
        whatever reason.
        """
        if self._number is not None:
            await self.scale("default", self._number)

    async def failure(self) -> str | None:
        """Say whether the cluster object itself has failed or closed."""
        status = getattr(getattr(self._cluster, "status", None), "name", "running")
        return f"{self._title} is {status}" if status in {"closed", "failed"} else None

    async def logs(self) -> Mapping[str, str]:
        """Return what the cluster's own ``get_logs`` has, if there is one."""
        get_logs = getattr(self._cluster, "get_logs", None)
        found = await _foreign(f"{self._title}.get_logs() failed", get_logs) if get_logs else {}
        return {str(name): str(text) for name, text in found.items()}

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """Close the cluster object."""
        if self._closing is None:
            closing = _foreign(f"{self._title}.close() failed", self._cluster.close)
            self._closing = asyncio.ensure_future(closing)
        await asyncio.shield(self._closing)

    async def abandon(self, error: BaseException) -> None:
        """Close what can't be used, within close-timeout; note on ``error`` what went wrong with that."""
        bound = setting("close-timeout")
        try:
            await asyncio.wait_for(self.close(), bound)
        except TimeoutError:
            error.add_note(f"and it did not end within {bound:g} s: it may still be running")
        except ProvisioningError as closing:
            error.add_note(f"and it could not be closed: {closing}")

    def request_close(self) -> None:
        """Leave the end to the block: a cluster object has no close that returns at once."""


async def _foreign(
    what: str, call: Callable[[], T], *, late: Callable[[T], object] | None = None, hint: str = ""
) -> T:
    """Make a blocking call; whatever it raises, even SystemExit, becomes a ProvisioningError."""

    def said() -> T:
        try:
            return call()
        except DaskbridgeError:
            raise
        except BaseException as error:
            raise ProvisioningError(f"{what}: {type(error).__name__}: {error}", hint=hint) from error

    return await in_thread(said, late=late)


def _import(name: str) -> Callable[..., AnyCluster]:
    from distributed.utils import import_term

    try:
        found: Callable[..., AnyCluster] = import_term(name)
    except (ImportError, AttributeError) as error:
        msg = f"{CLASS} is {name!r}, which can't be imported: {error}"
        raise TopologyError(msg, hint="install its package, or correct the name") from error
    return found
