"""What the tests of a run have in common: programs of a user's, and other people's clusters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.drivers import drive as programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def drive(tmp_path):
    """Start ``main`` as a user's program beside the modules of ``files``."""
    yield from programs(tmp_path)


@pytest.fixture(scope="module")
def drive_module(tmp_path_factory):
    """Do the same once for a module of tests."""
    yield from programs(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def gone():
    """Wait until none of some processes is left; a zombie of somebody else's is not left."""

    def wait(pids: list[int], timeout: float = 15) -> bool:
        found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        _, alive = psutil.wait_procs(found, timeout=timeout)
        return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())

    return wait


@pytest.fixture(scope="module")
def dask_program():
    """Start a scheduler or a worker as its own users would: ``dask_program("dask_worker", *arguments)``."""
    started: list[subprocess.Popen[bytes]] = []
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def start(
        program: str, *arguments: str, directory: Path, python: str = sys.executable, **more: str
    ) -> subprocess.Popen[bytes]:
        command = [python, "-P", "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", *arguments]
        with (directory / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=directory, env=environ | more, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def remote_scheduler(dask_program: Callable[..., object], directory: Path) -> str:
    """Start a scheduler and a worker that know nothing of any project; return the address."""
    file = directory / "scheduler.json"
    where = ("--scheduler-file", str(file))
    dask_program(
        "dask_scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", *where, directory=directory
    )
    dask_program("dask_worker", "--nthreads", "1", "--no-dashboard", *where, directory=directory)
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text().endswith("}")):
        assert time.monotonic() < end, "no scheduler file"
    return json.loads(file.read_text())["address"]
