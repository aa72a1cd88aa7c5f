"""Programs of a user's, run as processes of their own: what the workers see is not what pytest sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What every program starts with: `report` prints a result, `hide` renames the project away.
PRELUDE = """
import json, os, sys, threading, time
from pathlib import Path
import psutil
from daskbridge import *
PROJECT = Path(__file__).parent

def report(**values):
    print("REPORT " + json.dumps(values), flush=True)

def hide():
    os.rename(PROJECT, PROJECT.with_name("hidden"))

def nodes():
    # all but the process that starts them, which stays warm for a while
    found = []
    for child in psutil.Process().children():
        below = [each.pid for each in child.children(recursive=True)]
        found += below if "local_zygote" in " ".join(child.cmdline()) else [child.pid, *below]
    return found

def everything():
    return [child.pid for child in psutil.Process().children(recursive=True)]

def scheduler_of(cluster):
    return psutil.Process(cluster.client.run_on_scheduler(os.getpid))
"""


@dataclass
class Driver:
    """One program of a user's, while it runs."""

    process: subprocess.Popen[str]
    errors: Path

    def reports(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("REPORT "):
                yield json.loads(line.removeprefix("REPORT "))

    def wait(self) -> tuple[int, str]:
        code = self.process.wait(timeout=60)
        return code, self.errors.read_text()


def _drive(directory: Path) -> Iterator[Callable[..., Driver]]:
    started: list[subprocess.Popen[str]] = []

    def start(main: str, **files: str) -> Driver:
        project = directory / "project"
        project.mkdir()
        for name, text in files.items():
            file = project / (name if "." in name else f"{name}.py")
            file.parent.mkdir(exist_ok=True)
            file.write_text(dedent(text))
        (project / "main.py").write_text(PRELUDE + dedent(main))
        errors = directory / "errors"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, str(project / "main.py")],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=directory,
            )
        started.append(process)
        return Driver(process, errors)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def drive(tmp_path):
    """Start ``main`` as a user's program beside the modules of ``files``."""
    yield from _drive(tmp_path)


@pytest.fixture(scope="module")
def drive_module(tmp_path_factory):
    """Do the same once for a module of tests."""
    yield from _drive(tmp_path_factory.mktemp("driver"))


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
        program: str, *arguments: str, directory: Path, python: str = sys.executable
    ) -> subprocess.Popen[bytes]:
        command = [python, "-P", "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", *arguments]
        with (directory / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=directory, env=environ, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
