"""A user's project and its local runs, as real processes that can be found again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import psutil

#: Seconds for the end of all that a run has started.
GONE = 20
FLYTE = str(Path(sys.executable).with_name("flyte"))
MARK = "DASKBRIDGE_TEST_RUN"
MYLIB = """
import os

def where(n):
    return [os.getpid(), __file__]
"""


class Project:
    """Own a user's project, a directory for temporary files, and the processes that it starts."""

    def __init__(self, directory):
        self.path, self.temporary = directory / "project", directory / "tmp"
        self.path.mkdir()
        self.temporary.mkdir()
        self.told = directory / "told.json"
        self.write("mylib.py", MYLIB)
        known = {"TMPDIR": str(self.temporary), "TOLD": str(self.told), MARK: uuid4().hex}
        known["DASK_DASKBRIDGE__LOCAL_WARM"] = "0"  # what starts nodes ends with its cluster, too
        # what a terminal shows is wrapped otherwise
        self.environ = os.environ | known | {"COLUMNS": "200"}

    def write(self, name, text):
        (self.path / name).write_text(dedent(text))

    @contextmanager
    def started(self, *command):
        """Start a command; it must have ended when the block is left."""
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(command, cwd=self.path, env=self.environ, **output) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def run(self, *command):
        """Run a command to its end; return what it has told and what it printed."""
        with self.started(*command) as process:
            printed, _ = process.communicate(timeout=100)
        assert process.returncode == 0, printed
        assert self.left() == []
        return json.loads(self.told.read_text()) if self.told.exists() else None, printed

    def python(self, source):
        """Run a program that has no ``__main__`` guard."""
        self.write("program.py", PROGRAM + dedent(source))
        return self.run(sys.executable, "program.py")[0]

    def left(self):
        """Return the processes and the temporary files that are still there after the bound."""
        left = psutil.wait_procs(self.processes(), timeout=GONE)[1]
        return [*left, *self.temporary.glob("daskbridge*")]

    def processes(self):
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.environ[MARK]:
                    found.append(process)
        return found


PROGRAM = """
import asyncio, json, os, re, tempfile, threading, time
from pathlib import Path
import dask.config, flyte, psutil
import mylib
from daskbridge_flyte import Dask, DaskTask, WorkerGroup
from distributed import Client

def environment(name, number=1, topology=Dask):
    return flyte.TaskEnvironment(name, plugin_config=topology(workers=WorkerGroup(number)))

def tell(**values):
    Path(os.environ["TOLD"]).write_text(json.dumps(values))

def threads():
    return {re.sub("[0-9a-f]{8}|[0-9]+", "#", each.name) for each in threading.enumerate()}

def left():
    clients = [str(client) for client in Client._instances if client.status != "closed"]
    files = [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("daskbridge")]
    return {
        "processes": [child.pid for child in psutil.Process().children(recursive=True)],
        "ports": len(psutil.Process().net_connections("tcp")),
        "threads": sorted(threads() - FLYTE),
        "clients": clients,
        "files": files,
        "configuration": [dask.config.get(key, None) for key in ("scheduler", "scheduler-address")],
    }

run = flyte.with_runcontext(mode="local").run
plain, env = flyte.TaskEnvironment("plain"), environment("dask_env", 2)

@plain.task
async def in_the_loop() -> None: ...

@plain.task
def in_a_thread() -> None: ...

run(in_the_loop)
run(in_a_thread)
FLYTE = threads()
NOTHING = left()
"""
#: What `left` returns when nothing is.
NOTHING = {
    "processes": [],
    "ports": 0,
    "threads": [],
    "clients": [],
    "files": [],
    "configuration": [None, None],
}
