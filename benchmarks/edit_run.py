"""Measure the edit-run loop on a live local cluster: one file changed, until all workers give the new result.

Each run is a fresh process with a small project; in it the cluster starts, then one file is edited several
times, and each time the new code goes live and every worker is asked for its result. The peer is LocalCluster
with UploadDirectory, which restarts its workers. Runs are interleaved, every other round backwards. Seconds
are those of one edit, wall and CPU of all processes; medians of all edits.

    python benchmarks/edit_run.py [--rounds 5] [--edits 4] [--workers 4] [--files 50]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from _machine import clean_environment, compile_packages, describe, load
from _measured import check_accounts, measure
from _promise import Promise
from _rounds import interleave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How many times as fast as the peer an edit goes live.
PROMISED = 4.0
COMMON = """
import os, sys
from pathlib import Path

PROJECT = Path({project!r})

def mark(name):
    print("MARK", name, flush=True)
    sys.stdin.readline()

def edit(version):
    text = "VERSION = " + str(version) + "\\ndef result():\\n    return VERSION, __file__\\n"
    (PROJECT / "mylib.py").write_text(text + "# " + "x" * version)

def ask():
    import mylib
    return mylib.result()

def check(client, version):
    answers = list(client.run(ask).values())
    assert [found for found, _ in answers] == [version] * {workers}, answers
    assert all(Path(file).parent != PROJECT for _, file in answers), answers
"""
DASKBRIDGE = """
from daskbridge import Dask, WorkerGroup, transient

topology = Dask(
    workers=WorkerGroup({workers}, threads=1),
    min_workers={workers},
    provisioner_options={{"local": {{"exact": True}}}},
)
edit(0)
with transient(topology, code=PROJECT) as cluster:
    check(cluster.client, 0)
    for version in range(1, {edits} + 1):
        mark("begin")
        edit(version)
        cluster.sync(policy="restart")
        check(cluster.client, version)
        mark("end")
"""
#: Dask gives up workers that are just being restarted 15 s after an earlier restart; here it is patient.
PEER = """
import dask
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import UploadDirectory

def upload(client):
    client.register_plugin(UploadDirectory(str(PROJECT), restart_workers=True, update_path=True))
    client.wait_for_workers({workers})

if __name__ == "__main__":
    edit(0)
    dask.config.set({{"distributed.deploy.lost-worker-timeout": "600s"}})
    with LocalCluster(n_workers={workers}, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            upload(client)
            check(client, 0)
            for version in range(1, {edits} + 1):
                mark("begin")
                edit(version)
                upload(client)
                check(client, version)
                mark("end")
"""
PROGRAMS = {"daskbridge": DASKBRIDGE, "LocalCluster, UploadDirectory": PEER}


class Edit(NamedTuple):
    """Seconds of one edit until all workers gave the new result."""

    wall: float
    cpu: float


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("rounds", 5), ("edits", 4), ("workers", 4), ("files", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    for line in (*describe().values(), compile_packages(), check_accounts()):
        print(line)
    runs = interleave(
        list(PROGRAMS), given.rounds, lambda program: run(program, given.workers, given.edits, given.files)
    )
    found = {program: [edit for edits in each for edit in edits] for program, each in runs.items()}
    measured = f"{given.workers} workers, {given.rounds} rounds of {given.edits} edits"
    print(f"\none of {given.files + 1} files edited until all workers gave the new result: {measured}")
    for program, edits in found.items():
        show(program, edits)
    ours, peer = (median(edit.wall for edit in edits) for edits in found.values())
    promise = Promise("", "times as fast", peer / ours, PROMISED, at_least=True)
    print(f"\n{promise}")
    print(f"load after: {load()}")
    return 0 if promise.kept else 1


def run(program: str, workers: int, edits: int, files: int) -> list[Edit]:
    """Run one program as a fresh process with a cache of its own."""
    with TemporaryDirectory() as place:
        directory = Path(place)
        project, elsewhere, temporary = (directory / name for name in ("small", "elsewhere", "temporary"))
        for each in (project / "package", elsewhere, temporary):
            each.mkdir(parents=True)
        for number in range(files):
            (project / "package" / f"module_{number}.py").write_text(f"NUMBER = {number}\n" * 500)
        values: Mapping[str, object] = {"project": str(project), "workers": workers, "edits": edits}
        script = elsewhere / "main.py"
        script.write_text((COMMON + PROGRAMS[program]).format(**values))
        environment = clean_environment() | {
            "TMPDIR": str(temporary),
            "DASK_DASKBRIDGE__CACHE_DIRECTORY": str(directory / "cache"),
        }
        marks = measure([sys.executable, str(script)], directory, environment).marks
    pairs = zip(marks[::2], marks[1::2], strict=True)
    return [Edit(end.at - begin.resumed, end.cpu - begin.cpu) for begin, end in pairs]


def show(program: str, edits: Sequence[Edit]) -> None:
    """Print what one program took for an edit."""
    cells = ""
    for name in ("wall", "cpu"):
        values = [getattr(edit, name) for edit in edits]
        cells += f"{name} {median(values):.2f} ({min(values):.2f} to {max(values):.2f})   "
    print(f"  {program:<32}{cells.rstrip()}")


if __name__ == "__main__":
    sys.exit(main())
