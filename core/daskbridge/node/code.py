"""Bring the user's code to the scheduler, the nannies and the workers, and keep out who can't get it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import time
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import NannyPlugin, SchedulerPlugin, WorkerPlugin

from ._travel import Travels
from .activate import activate, deactivate, import_paths
from .install import open_cache
from .unpack import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Nanny, Scheduler, Worker

    from .install import HostCache, Installed, Source
    from .unpack import Reference

NAME = "daskbridge-code"
TOPIC = "daskbridge"
_VERBS = ("begin", "put", "activate", "chunk", "report", "status", "release")
_PATIENCE = 60.0


class DownloadCodeBundleSchedulerPlugin(Travels, SchedulerPlugin):
    """Install the bundle on the scheduler, serve its archive in chunks and keep the receipts."""

    name = NAME
    idempotent = False

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    async def start(self, scheduler: Scheduler) -> None:
        """Take over from an equal plugin; refuse to replace another bundle that somebody uses."""
        self.scheduler = scheduler
        self.users: set[str] = set()
        self.uploads: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}
        self.installed: Installed | None = None
        self.cache = await asyncio.to_thread(open_cache)
        self._follow(scheduler.plugins.get(NAME))
        self.lease = self.cache.lease(self.reference["digest"])
        for verb in _VERBS:
            scheduler.handlers[f"daskbridge_code_{verb}"] = getattr(self, verb)

    def _follow(self, before: Any) -> None:  # noqa: ANN401 -- its class was loaded from another source text
        if before is None:
            return
        users = before.users & set(self.scheduler.clients)
        if before.reference == self.reference:
            self.users, self.uploads, self.installed = users, before.uploads, before.installed
            self.receipts, self.failures = before.receipts, before.failures
            before.installed = None
        elif users:
            msg = (
                f"the cluster runs the code {before.reference['digest'][:12]} for {len(users)} client(s), "
                f"so {self.reference['digest'][:12]} can't be put beside it"
            )
            raise RuntimeError(msg)
        before.stop()
        del self.scheduler.plugins[NAME]

    def stop(self) -> None:
        """Leave this process as if the code had never been here."""
        if self.installed:
            deactivate(self.installed)
            self.installed = None
        os.close(self.lease)

    async def close(self) -> None:
        """Deactivate when the scheduler ends."""
        self.stop()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: object) -> None:  # noqa: ARG002 -- Dask's signature
        """Forget the receipt of a worker that left."""
        self.receipts.pop(worker, None)

    async def begin(self, user: str) -> dict[str, bool]:
        """Count a client as a user; say whether it must send the archive and register the plugins."""
        self.users.add(user)
        live = self.installed is not None and NAME in self.scheduler.worker_plugins
        return {
            "want": not (live or self.reference["url"] or await asyncio.to_thread(self._archived)),
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

    async def activate(self, user: str) -> None:
        """Install, import from the tree from now on, and keep the archive for the workers."""
        start = time.monotonic()
        installed = await asyncio.to_thread(self._install, self.uploads.pop(user, None))
        if self.installed is None:
            activate(self.reference, installed)
            self.installed = installed
        else:
            os.close(installed.lease)
        receipt = _receipt(self.reference, installed, start)
        address = self.scheduler.address
        self.receipts[address] = receipt | {"role": "scheduler", "name": "scheduler", "address": address}

    def _install(self, upload: str | None) -> Installed:
        if not upload:
            return self.cache.install(self.reference, _store(self.reference))
        sent = os.path.join(upload, "archive")
        with open(sent, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.reference["sha256"]:
                msg = "the archive was damaged on its way to the scheduler"
                raise RuntimeError(msg)
        installed = self.cache.install(self.reference, [("driver", lambda: _read(sent))])
        with self.cache.locked(self.reference["digest"]):
            os.replace(sent, self.cache.path(self.reference["digest"], "archive"))
        shutil.rmtree(upload)
        return installed

    async def chunk(self, digest: str, offset: int) -> bytes:
        """Read a piece of the archive, which stays a file: no copy of it is held in memory.

        A host asks for one piece at a time and only one process of it asks, so what is under
        way stays at a piece per host.
        """
        archive = self.cache.path(digest, "archive")
        if digest != self.reference["digest"] or not os.path.exists(archive):  # noqa: ASYNC240 -- as below
            msg = f"the scheduler has no archive of {digest[:12]}"
            raise RuntimeError(msg)
        with open(archive, "rb") as file:  # noqa: ASYNC230 -- a thread per piece costs more; pools can starve
            file.seek(offset)
            return file.read(CHUNK)

    async def report(
        self, receipt: dict[str, Any] | None = None, failure: tuple[str, str] | None = None
    ) -> None:
        """Note that a node has the code, or why it has not."""
        if receipt:
            self.receipts[receipt["address"]] = receipt
        if failure:
            self.failures[failure[0]] = failure[1]

    async def status(self) -> dict[str, Any]:
        """Return the receipts, the failures, and the workers that have told neither."""
        missing = [address for address in self.scheduler.workers if address not in self.receipts]
        return {"receipts": list(self.receipts.values()), "failures": self.failures, "missing": missing}

    async def release(self, user: str) -> dict[str, Any]:
        """Drop a user; after the last one stop, and say which plugins are left to unregister."""
        self.users = (self.users - {user}) & set(self.scheduler.clients)
        if not self.users:
            self.stop()
            for verb in _VERBS:
                del self.scheduler.handlers[f"daskbridge_code_{verb}"]
        return {
            "users": len(self.users),
            "worker": NAME in self.scheduler.worker_plugins,
            "nanny": NAME in self.scheduler.nanny_plugins,
        }


class DownloadCodeBundleWorkerPlugin(Travels, WorkerPlugin):
    """Give a worker the code before it serves; on an exclusive cluster close a worker that can't get it."""

    name = NAME
    idempotent = False

    def __init__(self, reference: Reference, *, exclusive: bool = True) -> None:
        self.reference = reference
        self.exclusive = exclusive

    async def setup(self, worker: Worker) -> None:
        """Install, import from the tree from now on, and report; runs before the worker takes a task."""
        self.installed: Installed | None = None
        start = time.monotonic()
        try:
            installed = await _bring(self.reference, worker)
            activate(self.reference, installed)
            self.installed = installed
            receipt = _receipt(self.reference, installed, start)
            receipt |= {"role": "worker", "name": str(worker.name), "address": worker.address}
            await worker.scheduler.daskbridge_code_report(receipt=receipt)
        except Exception as error:
            await self._fail(worker, error)
            raise

    async def _fail(self, worker: Worker, error: Exception) -> None:
        text = str(error) or type(error).__name__
        worker.log_event(TOPIC, {"kind": "code-failed", "worker": str(worker.name), "error": text})
        if self.exclusive:
            # Dask lets a late joiner whose plugin failed run tasks: https://github.com/dask/distributed/issues/6906
            self.closing = asyncio.ensure_future(worker.close(nanny=True, reason=f"{NAME}-failed"))
        await worker.scheduler.daskbridge_code_report(failure=(worker.address, text))

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 -- Dask's signature
        """Leave the process as if the code had never been here."""
        if self.installed:
            deactivate(self.installed)
            self.installed = None


class DownloadCodeBundleNannyPlugin(Travels, NannyPlugin):
    """Install ahead of the worker process and let its subprocesses import the code too."""

    name = NAME
    idempotent = False
    restart = False

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    async def setup(self, nanny: Nanny) -> None:
        """Put the tree on the ``PYTHONPATH`` of every worker process that starts from now on."""
        self.installed: Installed | None = await _bring(self.reference, nanny)
        paths = [*import_paths(self.reference, self.installed.tree), *_other_paths(nanny, self.installed)]
        nanny.env["PYTHONPATH"] = os.pathsep.join(paths)

    def teardown(self, nanny: Nanny) -> None:
        """Take the tree off the ``PYTHONPATH`` again."""
        if self.installed:
            nanny.env["PYTHONPATH"] = os.pathsep.join(_other_paths(nanny, self.installed))
            os.close(self.installed.lease)
            self.installed = None


def _other_paths(nanny: Nanny, installed: Installed) -> list[str]:
    """Return what is on the ``PYTHONPATH`` beside trees: Dask replaces a nanny plugin without a teardown."""
    cache = os.path.dirname(os.path.dirname(installed.tree)) + os.sep
    entries = nanny.env.get("PYTHONPATH", os.environ.get("PYTHONPATH", "")).split(os.pathsep)
    return [entry for entry in entries if entry and not entry.startswith(cache)]


async def _bring(reference: Reference, node: Worker | Nanny) -> Installed:
    """Install for a worker or nanny, off its event loop."""
    loop, digest = asyncio.get_running_loop(), reference["digest"]

    async def ask(offset: int) -> bytes:
        data: bytes = await node.scheduler.daskbridge_code_chunk(digest=digest, offset=offset)
        return data

    def pull() -> Iterator[bytes]:
        offset = 0
        while data := asyncio.run_coroutine_threadsafe(ask(offset), loop).result(_PATIENCE):
            offset += len(data)
            yield data

    def install() -> Installed:
        cache: HostCache = open_cache(node.local_directory)
        return cache.install(reference, [*_store(reference), ("scheduler", pull)])

    return await asyncio.to_thread(install)


def _store(reference: Reference) -> list[Source]:
    url = reference["url"]
    return [("store", lambda: _fetch(url))] if url else []


def _fetch(url: str) -> Iterator[bytes]:
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            while data := file.read(CHUNK):
                yield data
    except Exception as error:  # noqa: BLE001 -- each driver has its own
        msg = f"{type(error).__name__} while reading the store"  # its text may hold the URL's credentials
        raise OSError(msg) from None


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            yield data


def _receipt(reference: Reference, installed: Installed, start: float) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "digest": reference["digest"],
        "source": installed.source,
        "seconds": round(time.monotonic() - start, 6),
        "bytes": 0 if installed.source == "cache" else reference["size"],
    }
