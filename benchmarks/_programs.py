"""The programs whose start is measured, each with a project that workers know from its cluster only."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from _machine import clean_environment
from _measured import Measured, measure

PROJECT = "project"
MYLIB = """
import os

def where():
    return os.getpid(), __file__
"""
TELL = """
import time
moments = {"script": time.monotonic()}
import os, sys

def mark(name):
    print("MARK", name, flush=True)
    sys.stdin.readline()

def check(answer):
    pid, file = answer
    here = os.path.dirname(os.path.abspath(mylib.__file__))
    assert pid != os.getpid(), "the function ran in the driver"
    assert os.path.dirname(os.path.abspath(file)) != here, f"the worker has found {file} without any help"
"""
FLOOR = """
import distributed
mark("result")
mark("closed")
"""
DASKBRIDGE = """
import json
import mylib
from daskbridge import Dask, WorkerGroup, transient

moments["imported"] = time.monotonic()
topology = Dask(
    workers=WorkerGroup({workers}, threads=1),
    min_workers={workers},
    provisioner_options={{"local": {{"exact": True}}}},
)
steps = []
for _ in range({clusters}):
    with transient(topology) as cluster:
        answer = cluster.client.submit(mylib.where).result()
        mark("result")
        assert len(cluster.client.nthreads()) == {workers}
    mark("closed")
    check(answer)
    steps.append([[step.name, step.seconds, step.detail] for step in cluster.timeline])
print("TOLD", json.dumps({{"moments": moments, "steps": steps}}), flush=True)
"""
#: Spawned workers import the script and inherit sys.path: neither may lead to the project.
PEER = """
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import UploadDirectory

if __name__ == "__main__":
    project = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "project")
    sys.path.insert(0, project)
    import mylib
    sys.path.remove(project)
    for _ in range({clusters}):
        with LocalCluster(n_workers={workers}, threads_per_worker=1, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                client.register_plugin(UploadDirectory(project, restart_workers=True, update_path=True))
                answer = client.submit(mylib.where).result()
                mark("result")
                assert len(client.nthreads()) == {workers}
        mark("closed")
        check(answer)
"""
BARE_PEER = """
from distributed import Client, LocalCluster

if __name__ == "__main__":
    for _ in range({clusters}):
        with LocalCluster(n_workers={workers}, threads_per_worker=1, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                assert client.submit(os.getpid).result() != os.getpid()
                mark("result")
                assert len(client.nthreads()) == {workers}
        mark("closed")
"""
PROGRAMS = {
    "import distributed": FLOOR,
    "daskbridge": DASKBRIDGE,
    "LocalCluster, UploadDirectory": PEER,
    "LocalCluster": BARE_PEER,
}
#: How each protection is switched off.
OFF = {
    "tls": ("DASK_DASKBRIDGE__TLS", "false"),
    "lease": ("DASK_DASKBRIDGE__LEASE", "false"),
    "environment-check": ("DASK_DASKBRIDGE__ENVIRONMENT_CHECK", "ignore"),
}


@dataclass(frozen=True)
class Case:
    """One program to run: for how many workers, clusters one after the other, without which protections."""

    program: str
    workers: int = 0
    clusters: int = 1
    off: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name it in a table."""
        return f"{self.program}, {', '.join(self.off)} off" if self.off else self.program

    def __str__(self) -> str:
        """Name it while it runs."""
        return f"{self.title}, {self.workers} workers"


def run(case: Case, *options: str) -> tuple[Measured, str]:
    """Run a case as a fresh process with a fresh bundle cache; return it with what it wrote to stderr."""
    with TemporaryDirectory() as place:
        directory = Path(place)
        project, elsewhere, temporary = (directory / name for name in (PROJECT, "elsewhere", "temporary"))
        for each in (project, elsewhere, temporary):
            each.mkdir()
        (project / "mylib.py").write_text(MYLIB)
        script = (project if case.program == "daskbridge" else elsewhere) / "main.py"
        body = PROGRAMS[case.program].format(workers=case.workers, clusters=case.clusters)
        script.write_text(TELL + body)
        environment = clean_environment() | dict(OFF[name] for name in case.off)
        environment |= {"TMPDIR": str(temporary)}
        if case.program == "daskbridge":
            environment |= {"DASK_DASKBRIDGE__CACHE_DIRECTORY": str(directory / "cache")}
        measured = measure([sys.executable, *options, str(script)], directory, environment)
        return measured, (directory / "log").read_text()
