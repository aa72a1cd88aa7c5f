"""The driver's handle on the processes of one local cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self

import psutil

from daskbridge._threads import in_thread
from daskbridge.cluster._local_order import order_of, packed
from daskbridge.cluster._zygote import Zygote, lifelines
from daskbridge.errors import ProvisioningError
from daskbridge.plugins._provisioner import ClusterRef
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.cluster._fit import Share
    from daskbridge.plugins import Equipment, Run
    from daskbridge.topology import Dask

logger = logging.getLogger("daskbridge")

#: Seconds for nodes to end before they are killed, and for the news of it.
GRACE, NEWS = 5.0, 5.0
#: Seconds between two looks at nodes that nobody tells about any more.
LOOK = 0.01
#: Bytes of a log's end, and lines of it in a message.
TAIL, SHOWN = 64 * 1024, 20


class LocalCluster:
    """Hold one local cluster and its directory; lives on the core's loop."""

    ref: ClusterRef
    equipped = True

    def __init__(self, zygote: Zygote, name: str, notes: tuple[str, ...]) -> None:
        self.notes = notes
        self.security: Any = None
        self._name = name
        self._zygote = zygote
        #: Made by the process that starts the nodes, removed here: or there, if this process ends first.
        self._directory = Path(tempfile.gettempdir(), f"daskbridge-{name}-{token_hex(4)}")
        self._lifeline: list[int] = []
        self._nodes: dict[str, psutil.Process] = {}
        self._ordered = False
        self._groups: Mapping[str, Any] = {}
        self._adapts: dict[str, int] | None = None
        self._scheduler: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._failed: list[str] = []
        self._served = False

    @classmethod
    async def start(
        cls, zygote: Zygote, run: Run, topology: Dask, shares: Mapping[str, Share], notes: tuple[str, ...]
    ) -> Self:
        """Start all nodes and wait for the scheduler. Raises ProvisioningError; then nothing is left."""
        cluster = cls(zygote, run.id, notes)
        try:
            if setting("tls"):
                # shielded: they are for the clusters of other starts, too
                cluster.security = await asyncio.shield(asyncio.wrap_future(zygote.certify()))
            await cluster._start(run, topology, shares)
        except BaseException:
            await asyncio.shield(cluster.close("failed to start"))
            raise
        return cluster

    async def scale(self, group: str, number: int) -> None:
        """Start or end workers of one group; data of those that end moves to the others."""
        if group not in self._groups:
            msg = f"there is no worker group {group!r}; there are: {', '.join(sorted(self._groups))}"
            raise ProvisioningError(msg)
        if self._adapts is not None:
            least, most = self._adapts["minimum"], self._adapts["maximum"]
            msg = f"worker group {group!r} adapts by itself between {least} and {most} workers"
            raise ProvisioningError(msg, hint="leave out max_workers to scale it by hand")
        await self._zygote.order(order="scale", cluster=self._name, group=group, number=number)

    async def renew(self, equipment: Equipment) -> None:
        """Have all workers ended at once, and as many started with ``equipment``."""
        plugins = packed(equipment.workers)
        await self._zygote.order(order="renew", cluster=self._name, worker_plugins=plugins)

    async def failure(self) -> str | None:
        """Say which process ended, or why not one worker could start."""
        return self._failure

    async def logs(self) -> Mapping[str, str]:
        """Return the last lines of each node's output, by the node's name."""
        return {file.stem: _tail(file) for file in sorted(self._directory.glob("*.log"))}

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """End all nodes, then remove their directory."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def request_close(self) -> None:
        """Cut the lifeline: each node notices, and ends."""
        with suppress(IndexError):  # threads and signal handlers may ask at the same time
            lifeline = self._lifeline.pop()
            lifelines.discard(lifeline)
            os.close(lifeline)

    async def _start(self, run: Run, topology: Dask, shares: Mapping[str, Share]) -> None:
        order = order_of(run, topology, shares, self._directory, self.security)
        self._groups, self._adapts = shares, order["scheduler"]["adapt"]
        theirs, ours = os.pipe()
        lifelines.add(ours)
        self._lifeline.append(ours)
        self._ordered = True
        try:
            await self._zygote.start(self._name, self._told, theirs, grace=GRACE, **order)
        finally:
            os.close(theirs)
        address = await self._scheduler
        owner = f"process {os.getpid()}: the nodes end when it does"
        self.ref = ClusterRef(kind="local", name=self._name, scheduler_address=address, owner=owner)

    def _told(self, told: dict[str, Any]) -> None:
        """Take what the supervisor tells."""
        event, name = told["event"], told.get("name")
        if event == "started" and name == "scheduler":
            if not self._scheduler.done():
                self._scheduler.set_result(told["address"])
        elif event == "started":
            self._served, self._failure = True, None
        elif event == "failed":
            self._failed.append(f"worker {name} could not start: {told['error']}")
            if not self._served and told["left"] == 0:
                self._fail("\n".join([*self._failed, _tail(self._directory / f"{name}.log", SHOWN)]))
        elif event == "born":
            with suppress(psutil.NoSuchProcess):
                self._nodes[told["name"]] = psutil.Process(told["pid"])
        else:
            self._told_of_an_end(event, told)

    def _told_of_an_end(self, event: str, told: dict[str, Any]) -> None:
        if event == "lost":
            self._fail(told["why"])
        elif event == "ended":
            log = _tail(self._directory / "scheduler.log", SHOWN)
            ended = f"could not start: {told['error']}" if told["error"] else f"ended ({told['why']})"
            self._fail(f"the scheduler process {ended}:\n{log}")
        elif event == "gone":
            self._fail(self._zygote.epitaph())
        if event in {"gone", "closed"}:
            self._closed.set()

    def _fail(self, words: str) -> None:
        self._failure = words
        if not self._scheduler.done():
            self._scheduler.set_exception(ProvisioningError(words))

    async def _close(self) -> None:
        if self._ordered and not self._closed.is_set():
            try:
                async with asyncio.timeout(GRACE + NEWS):
                    await self._zygote.order(order="close", cluster=self._name, reason="the cluster closes")
                    await self._closed.wait()
            except (ProvisioningError, TimeoutError):
                self._zygote.kill()  # it does not answer, or is dead: its children end with it
        await self._vanished()
        self._zygote.leave(self._name)
        self.request_close()
        await self._zygote.cooled()
        if self._scheduler.done() and not self._scheduler.cancelled():
            self._scheduler.exception()  # told already, or nobody waits any more
        await in_thread(lambda: _remove(self._directory))

    async def _vanished(self) -> None:
        """Wait until the kernel has ended the nodes of a process that was killed."""
        try:
            async with asyncio.timeout(NEWS):
                while any(map(_alive, self._nodes.values())):
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            logger.warning("nodes of the local cluster %s are still there", self._name)


def _alive(node: psutil.Process) -> bool:
    try:
        return node.is_running() and node.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _tail(file: Path, lines: int = 200) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        with file.open("rb") as output:
            output.seek(max(0, os.fstat(output.fileno()).st_size - TAIL))
            return "\n".join(output.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


def _remove(directory: Path) -> None:
    """Remove what can be removed: what stays is no reason to fail a body that succeeded."""
    try:
        shutil.rmtree(directory)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)  # the first error kept it from the rest
        if directory.exists():
            logger.warning("the local cluster's directory %s could not be removed: %s", directory, error)
