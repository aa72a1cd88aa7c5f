"""Keep the bundle on the scheduler, from where the other nodes get it and where they report."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from . import Travels
from .activate import activate, deactivate
from .archive import form_kept, in_gzip, install_from, install_sent, store
from .compress import CHUNK, FORMATS
from .gate import Gate
from .install import open_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Scheduler

    from .install import Installed
    from .unpack import Reference

NAME = "daskbridge-code"
_REPACKING = "_daskbridge_code_repacking"
_VERBS = ("begin", "put", "activate", "chunk", "report", "status", "release")


class DownloadCodeBundleSchedulerPlugin(Travels, SchedulerPlugin):
    """Install the bundle on the scheduler, serve its archive in chunks and keep the receipts.

    With ``archive``, a file on this host, all nodes have the code from their start to their end, whoever
    comes and goes as a client.
    """

    name = NAME
    idempotent = False

    def __init__(self, reference: Reference, *, user: str | None = None, archive: str | None = None) -> None:
        self.reference = reference
        self.users = {user} if user else set()
        self.archive = archive
        #: What is to take this code's place: its archive is served, too.
        self.upcoming: str | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Take over from an equal plugin; refuse to replace another bundle that somebody uses."""
        self.scheduler = scheduler
        # one lock for all plugins of this name: each replaces the one before, with calls to it under way
        self.lock: asyncio.Lock = vars(scheduler).setdefault("_daskbridge_code_lock", asyncio.Lock())
        await self.lock.acquire()
        try:
            await self._start(scheduler)
        except BaseException:
            self.lock.release()
            raise
        asyncio.get_running_loop().call_soon(self.lock.release)  # by then Dask has put this one in its place

    async def _start(self, scheduler: Scheduler) -> None:
        await self.stand_by(scheduler)
        try:
            before: Any = scheduler.plugins.get(NAME)
            if before is not None and before is not self:
                await self._follow(before)
        except BaseException:
            self.stop()
            raise
        self.serve()
        if self.archive is not None and self.installed is None:
            start = time.monotonic()
            installed = await asyncio.to_thread(install_from, self.cache, self.reference, self.archive)
            self._use(installed, start)

    async def stand_by(self, scheduler: Scheduler) -> None:
        """Be ready to take uploads; nobody is served yet."""
        self.scheduler = scheduler
        self.lock = vars(scheduler)["_daskbridge_code_lock"]
        self.uploads: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}
        self.late: set[str] = set()
        self.installed: Installed | None = None
        self.cache = await asyncio.to_thread(open_cache)
        self.lease: int | None = self.cache.lease(self.reference["digest"])

    def serve(self) -> None:
        """Answer nodes and clients from now on."""
        for verb in _VERBS:
            self.scheduler.handlers[f"daskbridge_code_{verb}"] = getattr(self, verb)
        Gate.of(self.scheduler, NAME)

    async def _follow(self, before: Any) -> None:  # noqa: ANN401 -- its class was loaded from another source text
        users = before.users & set(self.scheduler.clients)
        old, new = before.reference, self.reference
        if all(old.get(key) == new.get(key) for key in ("digest", "sys_path", "working_directory")):
            self.users |= users
            self.uploads, self.installed = before.uploads, before.installed
            self.receipts, self.failures = before.receipts, before.failures
            self.archive = before.archive
            before.installed = None
        elif users or before.archive:
            msg = (
                f"the cluster runs the code {old['digest'][:12]} for {len(users) or 1} client(s), "
                f"so {new['digest'][:12]} can't be put beside it: use a cluster of your own, or wait for them"
            )
            raise RuntimeError(msg)
        else:
            await before.unregister()
        before.stop()
        self.scheduler.plugins.pop(NAME, None)

    async def unregister(self) -> None:
        """Take the code from the workers and nannies, now and later."""
        if NAME in self.scheduler.worker_plugins:
            await self.scheduler.unregister_worker_plugin(None, NAME)
        if NAME in self.scheduler.nanny_plugins:
            await self.scheduler.unregister_nanny_plugin(None, NAME)

    def stop(self) -> None:
        """Leave this process as if the code had never been here."""
        if self.installed:
            deactivate(self.installed)
            self.installed = None
        if self.lease is not None:
            os.close(self.lease)
            self.lease = None

    async def close(self) -> None:
        """Deactivate when the scheduler ends."""
        self.stop()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: object) -> None:  # noqa: ARG002 -- Dask's signature
        """Forget the receipt of a worker that left."""
        self.receipts.pop(worker, None)

    async def begin(self) -> dict[str, Any]:
        """Say whether the client must send the archive, in which formats, and whether all nodes have it."""
        live = self.installed is not None and NAME in self.scheduler.worker_plugins
        return {
            "want": not (live or store(self.reference) or await asyncio.to_thread(self._archived)),
            "reads": FORMATS,
            "live": live,
        }

    def _archived(self) -> bool:
        archive = self.cache.path(self.reference["digest"], "archive")
        return self.cache.find(self.reference) is not None and os.path.exists(archive)

    async def put(self, user: str, data: bytes) -> None:
        """Append to a client's upload."""
        if user not in self.uploads:
            self.uploads[user] = self.cache.staging(f"{self.reference['digest']}.lease")
        with open(os.path.join(self.uploads[user], "archive"), "ab") as file:  # noqa: ASYNC230 -- one small piece
            file.write(data)

    async def activate(self, user: str, sha256: str) -> None:
        """Install, import from the tree from now on, and keep the archive for the workers."""
        start = time.monotonic()
        async with self.lock:
            holder: Any = self.scheduler.plugins[NAME]  # the call may have come to the one before
            upload = holder.uploads.pop(user, None)
            installed = await asyncio.to_thread(install_sent, self.cache, self.reference, upload, sha256)
            holder._use(installed, start)  # noqa: SLF001 -- of this class, from this or another source text

    def _use(self, installed: Installed, start: float) -> None:
        if self.installed is None:
            activate(self.reference, installed)
        else:
            os.close(installed.lease)
            installed = self.installed
        self.imports_from(installed, start)

    def imports_from(self, installed: Installed, start: float) -> None:
        """Note what this process imports from by now; ``start`` is of :func:`time.monotonic`."""
        self.installed = installed
        told, address = receipt(self.reference, installed, start), self.scheduler.address
        self.receipts[address] = told | {"role": "scheduler", "name": "scheduler", "address": address}

    def give_up(self, installed: Installed | None) -> None:
        """Leave what was sent and installed, and never used."""
        for upload in self.uploads.values():
            shutil.rmtree(upload, ignore_errors=True)
        if installed is not None:
            os.close(installed.lease)
        self.stop()

    async def chunk(self, digest: str, offset: int, formats: Sequence[str]) -> bytes:
        """Read a piece of the archive, which stays a file: no copy of it is held in memory.

        A host asks for one piece at a time and only one process of it asks, so what is under
        way stays at a piece per host. One that reads none of the archive's format gets it in gzip.
        """
        archive = self.cache.path(digest, "archive")
        known = digest in {self.reference["digest"], self.upcoming}
        if known and form_kept(archive, self.reference) not in formats:
            async with vars(self.scheduler).setdefault(_REPACKING, asyncio.Lock()):
                archive = await asyncio.to_thread(in_gzip, archive, self.reference)
        if not known or not os.path.exists(archive):  # noqa: ASYNC240 -- as below
            msg = f"the scheduler has no archive of {digest[:12]}"
            raise RuntimeError(msg)
        with open(archive, "rb") as file:  # noqa: ASYNC230 -- a thread per piece costs more; pools can starve
            file.seek(offset)
            return file.read(CHUNK)

    async def report(
        self, receipt: dict[str, Any] | None = None, failure: tuple[str, str] | None = None
    ) -> None:
        """Note that a node has the code, or why it has not. Raises for one that has other code."""
        if receipt and receipt["digest"] != self.reference["digest"]:
            self.late.add(receipt["address"])
            msg = f"the nodes have the code {self.reference['digest'][:12]} by now"
            raise RuntimeError(msg)
        if receipt:
            self.receipts[receipt["address"]] = receipt
        if failure and failure[0] not in self.late:
            self.failures[failure[0]] = failure[1]

    async def status(self) -> dict[str, Any]:
        """Return the receipts, the failures, the workers that have told neither, and who uses the cluster."""
        clients, workers = self.scheduler.clients.items(), self.scheduler.workers
        return {
            "receipts": list(self.receipts.values()),
            "failures": self.failures,
            "missing": [address for address in workers if address not in self.receipts],
            "serving": sum(address in self.receipts for address in workers),
            "users": sorted(self.users & set(self.scheduler.clients)),
            "busy": [client for client, state in clients if state.wants_what],
            "fixed": self.archive is not None,
        }

    async def release(self, user: str) -> None:
        """Drop a user; with the last one the code leaves the cluster."""
        async with self.lock:
            holder: Any = self.scheduler.plugins.get(NAME)  # the call may have come to the one before
            if holder is None:
                return
            if cut_short := holder.uploads.pop(user, None):
                shutil.rmtree(cut_short, ignore_errors=True)
            holder.users = (holder.users - {user}) & set(self.scheduler.clients)
            if holder.users or holder.archive:
                return
            try:
                await holder.unregister()
            finally:
                holder.stop()
                for verb in _VERBS:
                    del self.scheduler.handlers[f"daskbridge_code_{verb}"]
                self.scheduler.remove_plugin(NAME)
                Gate.of(self.scheduler, NAME).take_down()


def receipt(reference: Reference, installed: Installed, start: float) -> dict[str, Any]:
    """Say how the tree got into this process; ``start`` is of :func:`time.monotonic`."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "digest": reference["digest"],
        "source": installed.source,
        "seconds": round(time.monotonic() - start, 6),
        "bytes": 0 if installed.source == "cache" else reference["size"],
    }
