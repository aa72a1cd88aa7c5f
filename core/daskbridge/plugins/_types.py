"""What a plugin's hooks answer: small frozen dataclasses that the core validates and lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distributed import NannyPlugin, SchedulerPlugin, WorkerPlugin

    from daskbridge.plugins._provisioner import ClusterRef
    from daskbridge.topology import Dask

    Logs = logging.Logger | logging.LoggerAdapter[Any]


@runtime_checkable
class Target(Protocol):
    """Name what a topology can be checked against: a serializer or a provisioner.

    ``capabilities`` are the names it can do (:data:`daskbridge.serialization.CAPABILITIES`).
    ``adapts`` maps a capability that it can't do as asked to what happens instead, in words;
    the run says so. Anything else that a topology asks is an error at definition. A target may
    also have ``advice``: what to do instead, in words, by capability.
    """

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def adapts(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Serializer:
    """Turn a topology into the form of one target; ``render`` is pure and works offline.

    ``render(topology)`` returns what ``json`` can write. The core checks the topology against
    ``capabilities`` first, so ``render`` need not.
    """

    name: str
    render: Callable[[Dask], Any]
    capabilities: frozenset[str] = frozenset()
    adapts: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """Record one step of a run: seconds it took, how it ended, what came of it in a few words."""

    name: str
    state: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Equipment:
    """Hold the Dask plugins that nodes need from the start; all have names.

    A provisioner that starts its own processes hands ``scheduler`` to the scheduler and ``workers`` to every
    worker as they start, says so by its handle's ``equipped``, and saves the round trips of registering them.
    """

    scheduler: tuple[SchedulerPlugin, ...] = ()
    workers: tuple[WorkerPlugin, ...] = ()


def nothing(*_: object) -> None:
    """Do nothing."""


@dataclass
class Run:
    """Describe one use of a cluster to the hooks; the core fills it in as the run goes on.

    ``id`` is unique; ``name`` is for people. ``ref`` is None until the cluster is provisioned.
    ``code_root`` is where the orchestrator says that the user's project lies, if it knows;
    ``entry`` is the module of the decorated function, which nodes must be able to import. When
    the run closes, ``steps`` are all that it took and ``error`` is what its start or its body ended
    in, if any. ``shared`` is a run without a body: a cluster that several others use. ``logger`` gets
    what its workers print and log. ``progress`` is how many of the tasks that the scheduler knows are
    done and how many it knows, as of a moment ago; None of a cluster that others use, too.
    ``equipment`` is there when a provisioner provisions.
    While a code source is asked or a provisioner provisions, ``tell(words)`` says what is waited for;
    displays show it. A provisioner may set ``hint``: where a person sees why nodes don't come. ``loop`` is
    the event loop of an asynchronous body.
    """

    id: str
    name: str
    topology: Dask
    provisioner: str
    orchestrator: str | None = None
    code_root: Path | None = None
    entry: str | None = None
    ref: ClusterRef | None = None
    steps: tuple[Step, ...] = ()
    error: BaseException | None = None
    shared: bool = False
    logger: Logs | None = None
    progress: tuple[int, int] | None = None
    equipment: Equipment = field(default_factory=Equipment, repr=False)
    tell: Callable[[str], None] = nothing
    hint: str = ""
    loop: AbstractEventLoop | None = None

    @property
    def dashboard(self) -> str:
        """Say how a person reaches Dask's dashboard; empty until there is a cluster."""
        return self.ref.dashboard if self.ref else ""

    def in_task(self, function: Callable[..., object], *given: object) -> None:
        """Call what must be called where an asynchronous task is: soon, on its event loop; else here and now.

        In the context of who asks, and without waiting: the function must not block.
        """
        if self.loop is None:
            function(*given)
        else:
            self.loop.call_soon_threadsafe(function, *given)


@dataclass(frozen=True)
class ClusterPlugin:
    """Carry a Dask plugin to the cluster; ``name`` makes a second registration replace the first."""

    name: str
    plugin: SchedulerPlugin | WorkerPlugin | NannyPlugin


@dataclass(frozen=True)
class PluginInfo:
    """List one plugin: where it comes from, what it provides and how it stands.

    ``provides`` is filled in for active plugins, as ``provisioner:local`` or a hook's name.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Literal["available", "active", "disabled", "broken"]
    provides: tuple[str, ...] = ()
    error: str = ""
