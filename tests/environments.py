"""Clusters whose nodes differ: real schedulers and workers, each told what it has."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import distributed
from distributed import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds in which a node must be there.
LONG = 60


def driver_without(home: Path, *parts: str) -> Path:
    """Make an environment that has what the driver has, but for what has one of these parts in its name."""
    venv.create(home, symlinks=True)
    [theirs] = home.glob("lib/python*/site-packages")
    for found in Path(distributed.__file__).parents[1].iterdir():
        if found.suffix != ".pth" and not any(part in found.name for part in parts):
            (theirs / found.name).symlink_to(found)
    return home / "bin" / "python"


def distribution(directory: Path, name: str, version: str, *modules: str) -> str:
    """Make what looks like an installed distribution; ``directory`` is for the PYTHONPATH of a process."""
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{module}.py,,\n" for module in modules))
    for module in modules:
        (directory / f"{module}.py").write_text(f"__version__ = {version!r}\n")
    return str(directory)


def other_version(directory: Path, package: str, version: str) -> str:
    """Let a process with ``directory`` on its PYTHONPATH say that it has another version of a package."""
    # distributed asks the metadata; before 2026 it asked the module
    distribution(directory, package, version)
    (directory / "sitecustomize.py").write_text(f"import {package}\n{package}.__version__ = {version!r}\n")
    return str(directory)


class Nodes:
    """A scheduler and workers, started as their own users would."""

    def __init__(self, directory: Path, python: str = sys.executable) -> None:
        self.directory = directory
        self.python = python
        foreign = ("PYTHON", "PREFECT")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.processes: list[subprocess.Popen[bytes]] = []

    def scheduler(self, *arguments: str, **environ: str) -> str:
        """Start the scheduler and return the file with its address, once it is up."""
        file = self.directory / "address"
        quiet = ("--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file))
        self.start("dask_scheduler", *quiet, *arguments, **environ)
        end = time.monotonic() + LONG
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end, self.log
        return str(file)

    def worker(self, file: str, name: str, *arguments: str, **environ: str) -> None:
        """Start a worker; keywords are environment variables for it."""
        quiet = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--name", name)
        self.start("dask_worker", "--scheduler-file", file, *quiet, *arguments, **environ)

    def start(self, program: str, *arguments: str, **environ: str) -> None:
        command = [
            self.python,
            "-P",
            "-m",
            f"distributed.cli.{program}",
            "--host",
            "127.0.0.1",
            *arguments,
        ]
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.directory, env=self._environ | environ, stdout=log, stderr=log
            )
        self.processes.append(process)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()


@contextmanager
def nodes(directory: Path, python: str = sys.executable) -> Iterator[Nodes]:
    """End what was started when the block is left."""
    directory.mkdir()
    made = Nodes(directory, python)
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


def wait_for(file: str, workers: int, **options: object) -> str:
    """Return the scheduler's address once it has so many workers."""
    with Client(scheduler_file=file, timeout=LONG, set_as_default=False, **options) as client:
        client.wait_for_workers(workers, timeout=LONG)
        return client.scheduler.address
