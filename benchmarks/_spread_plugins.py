"""Plugins that bring a project to workers in the ways of others, and what looks for it there."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import WorkerPlugin, _extract_data

if TYPE_CHECKING:
    from _spread_ways import Parcel
    from distributed import Worker


class Nothing(WorkerPlugin):
    """Do nothing: what it costs to reach all workers."""

    name = "benchmark"

    def __init__(self, parcel: Parcel) -> None:
        """Keep what travels."""

    def setup(self, worker: Worker) -> None:
        """Do nothing."""


class Bytes(Nothing):
    """Carry the archive, and write it into a file without unpacking it."""

    def __init__(self, parcel: Parcel) -> None:
        self.data = parcel.zipped

    def setup(self, worker: Worker) -> None:
        Path(worker.local_directory, "archive").write_bytes(self.data)


class Zip(Nothing):
    """Carry the zip and unpack it as UploadDirectory does on nannies, each into its own directory."""

    def __init__(self, parcel: Parcel) -> None:
        self.directory, self.data = parcel.tree.name, parcel.zipped

    def setup(self, worker: Worker) -> None:
        _extract_data(worker.local_directory, self.directory, self.data, update_path=True)

    def teardown(self, worker: Worker) -> None:
        _leave(Path(worker.local_directory, self.directory))


class Flyte(Nothing):
    """Carry an address, from which each worker downloads with flyte's own code into its own directory."""

    def __init__(self, parcel: Parcel) -> None:
        self.url = str(parcel.archive)

    async def setup(self, worker: Worker) -> None:  # type: ignore[override]  # Dask awaits it
        from flyte._code_bundle.bundle import download_bundle
        from flyte.models import CodeBundle

        target = str(Path(worker.local_directory, "code"))
        await download_bundle(CodeBundle(tgz=self.url, destination=target, computed_version="1"))
        sys.path.insert(0, target)

    def teardown(self, worker: Worker) -> None:
        _leave(Path(worker.local_directory, "code"))


def _leave(directory: Path) -> None:
    sys.path[:] = [entry for entry in sys.path if entry != str(directory)]
    shutil.rmtree(directory)


def found(module: str) -> str | None:
    """Return where a worker would import ``module`` from."""
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(module)
    return spec.origin if spec else None
