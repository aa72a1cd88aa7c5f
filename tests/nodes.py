"""Schedulers and workers as processes, started as their own users would: they know nothing of the driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from distributed import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds in which a node must be there, or gone.
LONG = 60


class Nodes:
    """Start a scheduler, and workers for it; each has an empty working directory and a log beside it.

    Keywords are environment variables for a node, of which none of Python's and Prefect's is inherited.
    """

    def __init__(self, directory: Path, python: str) -> None:
        self.directory, self.python = directory, python
        self.file = directory / "scheduler.json"
        self.started: list[subprocess.Popen[bytes]] = []

    def scheduler(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start the scheduler; it is up when this returns."""
        own = ("--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(self.file))
        process = self._start("scheduler", "scheduler", *own, *arguments, **environ)
        end = time.monotonic() + LONG
        while not (self.file.exists() and self.file.read_text().endswith("}")):
            assert process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)
        return process

    def worker(
        self, name: str, *arguments: str, scheduler: str | None = None, **environ: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker; it joins this scheduler unless another one's address is given."""
        own = ("--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        joins = (scheduler,) if scheduler else ("--scheduler-file", str(self.file))
        return self._start("worker", name, *own, *joins, *arguments, **environ)

    def wait_for(self, workers: int, **options: object) -> str:
        """Return the scheduler's address once it has so many workers."""
        with Client(self.address, timeout=LONG, set_as_default=False, **options) as client:
            client.wait_for_workers(workers, timeout=LONG)
        return self.address

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.directory.glob("*.log")))

    def end(self) -> None:
        """Kill all; a worker under a nanny ends with that."""
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait(LONG)

    def _start(self, role: str, name: str, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        home = self.directory / name
        home.mkdir(exist_ok=True)
        foreign = ("PYTHON", "PREFECT")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        command = [self.python, "-P", "-m", f"distributed.cli.dask_{role}", "--host", "127.0.0.1"]
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=home,
                env=inherited | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process


def own_cache(directory: Path) -> dict[str, str]:
    """Let a node have its code there, as one on a host of its own has."""
    return {"DASK_DASKBRIDGE__CACHE_DIRECTORY": str(directory)}


@contextmanager
def dask_nodes(directory: Path, python: str = sys.executable) -> Iterator[Nodes]:
    """End what was started when the block is left."""
    directory.mkdir(exist_ok=True)
    made = Nodes(directory, python)
    try:
        yield made
    finally:
        made.end()
