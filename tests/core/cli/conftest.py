"""A project with a topology, and the installed commands run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

#: Seconds within which all that a run started must be gone, and that any wait may take.
GONE, LONG = 20, 60
CLUSTER = "version: 1\nworkers: {number_of_workers: 1, resources: {cpu: 1, memory: 512Mi}}\n"


class Project:
    """Own a directory of user code and start commands in it."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.write("cluster.yaml", CLUSTER)
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("DASK")}

    def write(self, name, text):
        (self.path / name).write_text(text, "utf-8")

    def run(self, *command, script="daskbridge", **environ):
        """Run an installed command to its end."""
        return subprocess.run(
            [Path(sys.executable).with_name(script), *command],
            cwd=self.path,
            env=self.environ | environ,
            check=False,
            capture_output=True,
            text=True,
            timeout=LONG,
        )

    @contextmanager
    def started(self, *command):
        """Start ``daskbridge`` and leave no process behind, whatever the test found."""
        process = subprocess.Popen(
            [Path(sys.executable).with_name("daskbridge"), *command],
            cwd=self.path,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        family = []
        try:
            with process:
                yield process
                family += descendants(process.pid)
        finally:
            for left in [*family, process]:
                if left.is_running() if isinstance(left, psutil.Process) else left.poll() is None:
                    left.kill()


def descendants(pid):
    """Return what a process has started, directly or not; each knows its start, so no number is mistaken."""
    return psutil.Process(pid).children(recursive=True)


def left_of(family):
    """Return which of these processes are still there after the bound."""
    return psutil.wait_procs(family, timeout=GONE)[1]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")
