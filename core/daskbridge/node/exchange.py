"""Exchange the code of a running cluster: all is brought to the scheduler first, then it goes quickly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.protocol.pickle import dumps

from . import Travels
from .activate import exchange
from .archive import install_from, install_sent
from .code import DownloadCodeBundleWorkerPlugin
from .gate import Gate
from .origin import NAME, DownloadCodeBundleSchedulerPlugin

if TYPE_CHECKING:
    from distributed import Scheduler

    from .install import Installed
    from .unpack import Reference

#: Seconds for graphs that are being taken in, and for nannies to end their workers.
PATIENCE = 60.0
_VERBS = ("begin", "put", "install", "exchange", "leave")


class NextCode(Travels, SchedulerPlugin):
    """Hold the bundle that is to take the place of the one that the nodes have.

    Until :meth:`exchange` nothing changes for tasks, and :meth:`leave` takes all back. ``archive`` is a file
    on this host, without which the client sends it. With ``renews`` somebody else ends the workers and
    starts new ones; otherwise their nannies do.
    """

    name = f"{NAME}-next"
    idempotent = False

    def __init__(
        self, reference: Reference, *, exclusive: bool, renews: bool, archive: str | None = None
    ) -> None:
        self.reference = reference
        self.exclusive = exclusive
        self.renews = renews
        self.archive = archive

    async def start(self, scheduler: Scheduler) -> None:
        """Begin, in place of one that its client has left behind."""
        self.scheduler = scheduler
        before: Any = scheduler.plugins.get(self.name)
        if before is not None:
            await before.leave()
        self.fresh = DownloadCodeBundleSchedulerPlugin(self.reference, archive=self.archive)
        self.tree: Installed | None = None
        self.gate = Gate.of(scheduler, NAME)
        self._holder().upcoming = self.reference["digest"]
        await self.fresh.stand_by(scheduler)
        for verb in _VERBS:
            scheduler.handlers[f"daskbridge_next_{verb}"] = getattr(self, verb)
        try:
            if self.archive is not None:
                await self.install()
        except BaseException:
            await self.leave()
            raise

    async def begin(self) -> dict[str, Any]:
        """Say whether the client must send the archive, and in which formats."""
        return await self.fresh.begin()

    async def put(self, user: str, data: bytes) -> None:
        """Append to the client's upload."""
        await self.fresh.put(user, data)

    async def install(self, user: str = "", sha256: str = "") -> None:
        """Install what was sent, or what lies on this host: nothing imports from it yet."""
        fresh, archive = self.fresh, self.archive
        if archive is not None:
            self.tree = await asyncio.to_thread(install_from, fresh.cache, fresh.reference, archive)
        else:
            upload = fresh.uploads.pop(user, None)
            self.tree = await asyncio.to_thread(install_sent, fresh.cache, fresh.reference, upload, sha256)

    async def exchange(self, timeout: float) -> int:
        """Make this the code of all nodes, and the workers leave; return how many there were.

        All results and tasks are gone. Up to the moment at which this process imports from the new tree an
        error leaves all as it was.
        """
        async with self.gate.closed(PATIENCE), self.fresh.lock:
            workers = self.scheduler.workers.values()
            alone = [str(state.name) for state in workers if not (self.renews or state.nanny)]
            if alone:
                msg = f"nobody would start these workers again: {', '.join(alone)}"
                raise RuntimeError(msg)
            number = len(workers)
            self._take_over()
            # no worker gets a task from here on, and none with the old code can join
            await self.scheduler.restart(
                timeout=min(timeout, PATIENCE),
                wait_for_workers=False,
                stimulus_id=f"{self.name}-{time.time()}",
            )
        await self.leave()
        return number

    def _take_over(self) -> None:
        start, holder, fresh, tree = time.monotonic(), self._holder(), self.fresh, self.tree
        if tree is None:
            msg = "the new code is not there, or its client has given up"
            raise RuntimeError(msg)
        exchange(holder.installed, self.reference, tree)
        self.tree = holder.installed = None
        fresh.users = holder.users & set(self.scheduler.clients)
        fresh.archive = self.archive or holder.archive
        holder.stop()
        del self.scheduler.plugins[NAME]
        self.scheduler.add_plugin(fresh, name=NAME)
        fresh.serve()
        fresh.imports_from(tree, start)
        worker = DownloadCodeBundleWorkerPlugin(self.reference, exclusive=self.exclusive)
        self.scheduler.worker_plugins[NAME] = dumps(worker)
        self.gate.tell(old=holder.reference["digest"], new=self.reference["digest"])

    async def leave(self) -> None:
        """End the preparation, and whatever of it was not used."""
        self.scheduler.plugins.pop(self.name, None)
        for verb in _VERBS:
            self.scheduler.handlers.pop(f"daskbridge_next_{verb}", None)
        holder: Any = self.scheduler.plugins.get(NAME)
        if holder is not self.fresh:
            if holder is not None:
                holder.upcoming = None
            self.fresh.give_up(self.tree)
            self.tree = None

    async def close(self) -> None:
        """Leave with the scheduler."""
        await self.leave()

    def _holder(self) -> Any:  # noqa: ANN401 -- its class may be of another source text
        holder = self.scheduler.plugins.get(NAME)
        if getattr(holder, "installed", None) is None:
            msg = "the scheduler has no code of daskbridge's: it was replaced, or the code was forgotten"
            raise RuntimeError(msg)
        return holder
