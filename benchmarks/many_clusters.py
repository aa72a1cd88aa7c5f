"""Open and close many clusters in one process: what stays of each, and what each one costs.

Looks before the first cluster, after it and after every so many, with none open: descriptors, threads and
memory of the driver (MiB), and the processes that clusters have left, with theirs. One that stays warm for
the next cluster is among them. The growth from the second look to the last is compared with the bounds; what
processes share of memory counts for each. Exits 1 if a bound is exceeded.

    python benchmarks/many_clusters.py [--clusters 200] [--every 20] [--workers 2]
        [--descriptors 0] [--threads 0] [--memory 32] ... [--seconds 1.5]
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from _machine import clean_environment, compile_packages, describe
from _processes import carrying, descendants, status
from _programs import MYLIB

from daskbridge import Dask, WorkerGroup, transient

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "DASKBRIDGE_BENCHMARK"
#: What may grow, and by how much unless an option says otherwise.
BOUNDS = {
    "descriptors": 0,
    "threads": 0,
    "memory": 32,
    "processes": 0,
    "their_descriptors": 0,
    "their_threads": 0,
    "their_memory": 32,
}


@dataclass(frozen=True)
class Look:
    """What there is after a number of clusters, as :data:`BOUNDS` names it.

    ``seconds`` are those of the clusters since the last look, ``cpu`` those of all processes until now.
    """

    clusters: int
    seconds: list[float]
    cpu: float
    found: dict[str, float]

    @classmethod
    def now(cls, clusters: int, seconds: list[float]) -> Look:
        """Look at this process and at those that clusters have left, after garbage was collected."""
        gc.collect()
        processes = descendants() | carrying(f"{VARIABLE}={os.getpid()}")
        found: dict[str, float] = {}
        for prefix, pids in (("", [os.getpid()]), ("their_", list(processes))):
            found[f"{prefix}descriptors"] = sum(map(_descriptors, pids))
            found[f"{prefix}threads"] = sum(status(pid, "Threads:") for pid in pids)
            found[f"{prefix}memory"] = sum(status(pid, "VmRSS:") for pid in pids) / 1024
        found["processes"] = len(processes)
        cpu = sum(os.times()[:4]) + sum(process.cpu for process in processes.values())
        return cls(clusters, seconds, cpu, found)


def _descriptors(pid: int) -> int:
    try:
        return len(list(Path("/proc", str(pid), "fd").iterdir()))
    except FileNotFoundError:  # it has just ended
        return 0


def looks(clusters: int, every: int, workers: int, project: Path) -> Iterator[Look]:
    """Open and close the clusters, look from time to time."""
    import mylib

    topology = Dask(workers=WorkerGroup(workers, threads=1), min_workers=workers)
    yield Look.now(0, [])
    seconds: list[float] = []
    for number in range(1, clusters + 1):
        begin = time.monotonic()
        with transient(topology, code=project) as cluster:
            pid, file = cluster.client.submit(mylib.where).result()
        seconds.append(time.monotonic() - begin)
        assert pid != os.getpid()
        assert file != mylib.__file__
        if number == 1 or number % every == 0 or number == clusters:
            yield Look.now(number, seconds)
            seconds = []


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    for name, bound in BOUNDS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=float, default=bound, help=f"growth that is allowed; {bound}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="median of the last clusters")
    given = parser.parse_args()
    print("\n".join([*describe().values(), compile_packages()]))
    print(f"\n{'clusters':<10}{'s each':>8}{'CPU s':>8}" + "".join(f"{name:>18}" for name in BOUNDS))
    seen: list[Look] = []
    with TemporaryDirectory() as place:
        project = Path(place, "project")
        project.mkdir()
        (project / "mylib.py").write_text(MYLIB)
        sys.path.insert(0, str(project))
        for key in os.environ.keys() - clean_environment().keys():
            del os.environ[key]
        os.environ |= {VARIABLE: str(os.getpid()), "DASK_DASKBRIDGE__CACHE_DIRECTORY": f"{place}/cache"}
        for look in looks(given.clusters, given.every, given.workers, project):
            each = f"{median(look.seconds):>8.3f}" if look.seconds else " " * 8
            cpu = f"{(look.cpu - seen[-1].cpu) / len(look.seconds):>8.2f}" if look.seconds else " " * 8
            cells = "".join(f"{look.found[name]:>18.0f}" for name in BOUNDS)
            print(f"{look.clusters:<10}{each}{cpu}{cells}", flush=True)
            seen.append(look)
    kept = True
    first, last = seen[1], seen[-1]
    print(f"\ngrowth from {first.clusters} to {last.clusters} clusters")
    for name in BOUNDS:
        grown, bound = last.found[name] - first.found[name], getattr(given, name)
        kept &= grown <= bound
        print(f"{name:<20}{grown:>8.1f}  <= {bound:<6g}{'kept' if grown <= bound else 'MISSED'}")
    each = median(last.seconds)
    kept &= each <= given.seconds
    verdict = "kept" if each <= given.seconds else "MISSED"
    print(f"{'seconds each':<20}{each:>8.3f}  <= {given.seconds:<6g}{verdict}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
