"""``local``: clean processes on this machine, a stand-in for a real cluster down to its empty path."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daskbridge._threads import in_thread
from daskbridge.cluster._child import Child
from daskbridge.cluster._fit import Machine, Share, fit
from daskbridge.cluster._options import options
from daskbridge.errors import ProvisioningError
from daskbridge.plugins._provisioner import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask

logger = logging.getLogger("daskbridge")

#: What nodes do not get of the driver's environment: its code, and the way to other clusters.
WITHHELD = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONSAFEPATH",
    "DASK_SCHEDULER_ADDRESS",
    "DASK_INTERNAL_INHERIT_CONFIG",
    "DASK_PARENT_INTERNAL",
)
#: Seconds for the end of the workers, then of the scheduler, before they are killed.
GRACE = 5.0
#: Seconds after which a worker without a scheduler gives up.
DEATH_TIMEOUT = 60


class LocalProvisioner:
    """Start a scheduler, and the workers under nannies, as clean processes of this machine.

    Nodes inherit neither ``sys.path`` nor ``__main__``, start in an empty directory, get the
    driver's environment without :data:`WITHHELD`, and listen on the loopback interface only. So
    code reaches them as it would reach another machine. Options: ``exact`` (bool, default False):
    start what was asked or fail, instead of what fits.
    """

    name = "local"
    capabilities = frozenset(
        {
            "worker-groups",
            "worker-resources",
            "env",
            "threads",
            "local-directory",
            "abstract-resources",
            "dask-config",
        }
    )
    adapts: Mapping[str, str] = {
        "images": "local nodes run in the driver's own environment",
        "scheduler-resources": "a local scheduler is not limited",
        "gpu": "local workers see the GPUs that this machine has",
        "disk": "local workers share this machine's disk",
        "shm": "local workers share this machine's memory",
    }

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for unknown options."""
        options(topology, self.name, {"exact": bool})

    async def provision(self, topology: Dask, run: Run) -> LocalCluster:
        """Start the nodes; the scheduler is up on return, the workers are on their way."""
        exact = options(topology, self.name, {"exact": bool}).get("exact", False)
        shares, notes = await in_thread(lambda: fit(topology, Machine.here(), exact=exact))
        fits = sum(share.number for share in shares.values())
        if fits < topology.workers_to_wait_for:
            run.topology = replace(topology, min_workers=fits)
            notes += (f"min_workers: {topology.min_workers} were to be waited for, {fits} are",)
        cluster = LocalCluster(run, notes)
        try:
            await cluster.start(topology, shares)
        except BaseException:
            await asyncio.shield(cluster.close("failed to start"))
            raise
        return cluster

    def diagnose(self) -> str:
        """Say how large this machine is."""
        return Machine.here().words

    async def attach(self, ref: ClusterRef) -> LocalCluster:
        """Refuse: a local cluster ends with the process that started it; attach with ``existing``."""
        raise ref.not_ours()


class LocalCluster:
    """Hold the processes of one local cluster and its directory; lives on the core's loop."""

    ref: ClusterRef
    security = None

    def __init__(self, run: Run, notes: tuple[str, ...]) -> None:
        self.notes = notes
        self._name = run.id
        self._directory = Path(tempfile.mkdtemp(prefix=f"daskbridge-{run.id}-"))
        self._children: list[Child] = []
        self._closing: asyncio.Task[None] | None = None
        self._groups: frozenset[str] = frozenset()
        self._hopeless: str | None = None
        self._reports: asyncio.Task[None] | None = None

    async def start(self, topology: Dask, shares: Mapping[str, Share]) -> None:
        """Start both processes at once, so that their imports overlap, then the workers."""
        environ = node_environment(topology.config)
        scheduler_env = environ | dict(topology.scheduler.env)
        scheduler = await Child.start("scheduler", self._directory / "scheduler", scheduler_env)
        self._children.append(scheduler)
        workers = await Child.start("workers", self._directory / "workers", environ)
        self._children.append(workers)
        await scheduler.tell(role="scheduler", dashboard="127.0.0.1:0")
        address = (await scheduler.answer())["address"]
        await workers.tell(role="workers", scheduler=address, groups=self._keywords(topology, shares))
        for group, share in shares.items():
            await workers.tell(group=group, number=share.number)
        self._reports = asyncio.create_task(self._read(workers))
        self._groups = frozenset(shares)
        self.ref = ClusterRef(
            kind=LocalProvisioner.name,
            name=self._name,
            scheduler_address=address,
            owner=f"process {os.getpid()}: the nodes end when it does",
        )

    async def scale(self, group: str, number: int) -> None:
        """Start or end workers of one group."""
        if group not in self._groups:
            msg = f"there is no worker group {group!r}; there are: {', '.join(sorted(self._groups))}"
            raise ProvisioningError(msg)
        await self._children[1].tell(group=group, number=number)

    async def failure(self) -> str | None:
        """Say which process ended, or why not one worker could start."""
        ended = next((words for child in self._children if (words := child.failure())), None)
        return ended or self._hopeless

    async def logs(self) -> Mapping[str, str]:
        """Return the last lines of the scheduler's and of the workers' output."""
        return {child.name: child.tail() for child in self._children}

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """End workers, then scheduler, then remove their directory."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def request_close(self) -> None:
        """Signal both process groups; who has work to do ends it now."""
        for child in self._children:
            child.signal(signal.SIGTERM)

    async def _read(self, workers: Child) -> None:
        failed: list[str] = []
        served = False
        while True:
            try:
                report = await workers.answer()
            except ProvisioningError:
                return  # the process ended: failure() says so
            if "started" in report:
                served, self._hopeless = True, None
                continue
            failed.append(f"worker {report['failed']} could not start: {report['error']}")
            if not served and report["left"] == 0:
                self._hopeless = "\n".join([*failed, workers.tail(20)])

    async def _close(self) -> None:
        if self._reports is not None:
            self._reports.cancel()
            await asyncio.wait({self._reports})
        grace = GRACE if hasattr(self, "ref") else 0  # who is still importing has nothing to end in order
        for child in reversed(self._children):
            await child.close(grace)
        await in_thread(lambda: _remove(self._directory))

    def _keywords(self, topology: Dask, shares: Mapping[str, Share]) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "nthreads": share.threads,
                "memory_limit": share.memory,
                "resources": dict(topology.groups[name].abstract_resources),
                "env": dict(topology.groups[name].env),
                "local_directory": topology.groups[name].local_directory or str(self._directory / "workers"),
                "death_timeout": DEATH_TIMEOUT,
            }
            for name, share in shares.items()
        }


def _remove(directory: Path) -> None:
    """Remove what can be removed: what stays is no reason to fail a body that succeeded."""
    try:
        shutil.rmtree(directory)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)  # the first error kept it from the rest
        if directory.exists():
            logger.warning("the local cluster's directory %s could not be removed: %s", directory, error)


def node_environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a clean node: the driver's without :data:`WITHHELD`, plus ``config``."""
    import dask.config

    environ = {key: value for key, value in os.environ.items() if key not in WITHHELD}
    if config:
        environ["DASK_INTERNAL_INHERIT_CONFIG"] = dask.config.serialize(dict(config))
    return environ
