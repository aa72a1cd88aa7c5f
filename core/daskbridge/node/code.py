"""Bring the user's code to the workers and nannies, and keep out who can't get it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import NannyPlugin, WorkerPlugin

from . import Travels
from .activate import activate, deactivate, import_paths
from .archive import store
from .compress import FORMATS
from .install import open_cache
from .origin import NAME, receipt
from .workplace import enter, leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Nanny, Worker

    from .install import Installed
    from .unpack import Reference

TOPIC = "daskbridge"
_PATIENCE = 60.0
#: Where a nanny has the tree that its workers start with.
_PLACE = "_daskbridge_code_tree"


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
        self.gone = False
        start = time.monotonic()
        try:
            installed = await _bring(self.reference, worker)
            if self.gone:  # Dask tears a plugin down in the middle of its setup when another takes its place
                os.close(installed.lease)
                return
            activate(self.reference, installed)
            self.installed = installed
            if self.reference.get("working_directory") is not None:
                await asyncio.to_thread(enter, self, self.reference, installed.tree, worker.local_directory)
            if worker.plugins.get(NAME) is not self:  # registered anew meanwhile: the new one reports
                self.teardown(worker)
                return
            told = receipt(self.reference, installed, start)
            told |= {"role": "worker", "name": str(worker.name), "address": worker.address}
            await worker.scheduler.daskbridge_code_report(receipt=told)
        except Exception as error:
            await self._fail(worker, error)
            raise

    async def _fail(self, worker: Worker, error: Exception) -> None:
        text = str(error) or type(error).__name__
        # Dask adds the worker's address as "worker".
        worker.log_event(TOPIC, {"kind": "code-failed", "name": str(worker.name), "error": text})
        if self.exclusive:
            # Dask lets a late joiner whose plugin failed run tasks: https://github.com/dask/distributed/issues/6906
            self.closing = asyncio.ensure_future(worker.close(nanny=True, reason=f"{NAME}-failed"))
        await worker.scheduler.daskbridge_code_report(failure=(worker.address, text))

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 -- Dask's signature
        """Leave the process as if the code had never been here."""
        self.gone = True
        leave(self)
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
        installed = await _bring(self.reference, nanny)
        before: Installed | None = vars(nanny).pop(_PLACE, None)
        vars(nanny)[_PLACE] = installed
        if before is not None:  # Dask replaces a nanny plugin without a teardown
            os.close(before.lease)
        paths = [*import_paths(self.reference, installed.tree), *_other_paths(nanny, installed)]
        nanny.env["PYTHONPATH"] = os.pathsep.join(paths)

    def teardown(self, nanny: Nanny) -> None:
        """Take the tree off the ``PYTHONPATH`` again."""
        installed: Installed | None = vars(nanny).pop(_PLACE, None)
        if installed is not None:
            nanny.env["PYTHONPATH"] = os.pathsep.join(_other_paths(nanny, installed))
            os.close(installed.lease)


def _other_paths(nanny: Nanny, installed: Installed) -> list[str]:
    """Return what is on the ``PYTHONPATH`` beside trees, those of plugins before included."""
    cache = os.path.dirname(os.path.dirname(installed.tree)) + os.sep
    entries = nanny.env.get("PYTHONPATH", os.environ.get("PYTHONPATH", "")).split(os.pathsep)
    return [entry for entry in entries if entry and not entry.startswith(cache)]


async def _bring(reference: Reference, node: Worker | Nanny) -> Installed:
    """Install for a worker or nanny, off its event loop."""
    loop, digest = asyncio.get_running_loop(), reference["digest"]

    async def ask(offset: int) -> bytes:
        data: bytes = await node.scheduler.daskbridge_code_chunk(
            digest=digest, offset=offset, formats=FORMATS
        )
        return data

    def pull() -> Iterator[bytes]:
        offset = 0
        while data := asyncio.run_coroutine_threadsafe(ask(offset), loop).result(_PATIENCE):
            offset += len(data)
            yield data

    def install() -> Installed:
        return open_cache(node.local_directory).install(reference, [*store(reference), ("scheduler", pull)])

    return await asyncio.to_thread(install)
