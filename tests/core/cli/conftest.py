"""A project with a topology, and the installed commands run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

#: Seconds within which all that a run started must be gone, and that any wait may take.
GONE, LONG = 20, 60
MARK = "DASKBRIDGE_TEST_RUN"
CLUSTER = "version: 1\nworkers: {number_of_workers: 1, resources: {cpu: 1, memory: 512Mi}}\n"


class Project:
    """Own a directory of user code, and start commands in it that can be found again."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.write("cluster.yaml", CLUSTER)
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("DASK")}
        self.environ[MARK] = uuid4().hex

    def write(self, name, text):
        (self.path / name).write_text(text, "utf-8")

    def run(self, *command, script="daskbridge", **environ):
        """Run an installed command to its end."""
        return subprocess.run(
            [installed(script), *command],
            cwd=self.path,
            env=self.environ | environ,
            check=False,
            capture_output=True,
            text=True,
            timeout=LONG,
        )

    @contextmanager
    def started(self, *command, **options):
        """Start a command that must have ended, with its output read, when the block is left."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=self.path, env=self.environ, **(pipes | options)) as process:
            try:
                yield process
            except BaseException:  # leaving the block waits for the process
                process.kill()
                raise

    def processes(self):
        """Return what descends from commands of this project: their environment is inherited."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.environ[MARK]:
                    found.append(process)
        return found

    def left(self):
        """Return what is still there after the bound."""
        return psutil.wait_procs(self.processes(), timeout=GONE)[1]


def installed(script):
    return Path(sys.executable).with_name(script)


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    yield made
    for process in made.processes():
        process.kill()
