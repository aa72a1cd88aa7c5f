"""Programs of a user's, run as processes of their own: what the workers see is not what pytest sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

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
        try:
            below, command = [each.pid for each in child.children(recursive=True)], child.cmdline()
            if command == psutil.Process().cmdline():
                continue  # it is about to become the process that starts them
            found += below if "local_zygote" in " ".join(command) else [child.pid, *below]
        except psutil.Error:  # it has just ended
            pass
    return found

def start_slowly():
    # nodes import what they need, each by itself
    os.environ["DASK_DASKBRIDGE__LOCAL_START"] = "spawn"

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


def drive(directory: Path, *, prelude: str = PRELUDE, **environ: str) -> Iterator[Callable[..., Driver]]:
    """Give a function that starts ``main`` beside the modules of ``files``; it has ``environ``, too."""
    started: list[subprocess.Popen[str]] = []

    def start(main: str, **files: str) -> Driver:
        project = directory / "project"
        project.mkdir()
        for name, text in files.items():
            file = project / (name if "." in name else f"{name}.py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))
        (project / "main.py").write_text(prelude + dedent(main))
        errors = directory / "errors"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, str(project / "main.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=directory,
                env=os.environ | environ,
            )
        started.append(process)
        return Driver(process, errors)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()
