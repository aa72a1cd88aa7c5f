"""Measure what it costs to install a project on a host, once its archive is there.

Each run is a fresh process that unpacks into a new directory, timed from within after all imports; runs are
interleaved, and medians of CPU seconds (user and system, with children) compared. The floor writes the same
files from memory: no archive, no decompression, no check. Before each run all that was written before is
brought to the disk; what a run itself leaves to be written later counts for nobody.

    python benchmarks/bundle_install.py [--rounds 5] [--trees small medium large] [--quick]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from _machine import clean_environment, compile_packages, describe, load
from _measured import measure
from _peers import absent
from _promise import Promise
from _rounds import interleave
from _trees import SIZES, Tree, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("_install_jobs.py")
OURS, FLOOR = "daskbridge", "write only"
WAYS = (OURS, FLOOR, "tar -x --zstd", "tar -xz", "UploadDirectory", "flyte")
MEMORY_DISK = "/dev/shm"  # noqa: S108 -- temporary directories are made in it
#: Times the CPU of each.
FLOORS, FLYTE = 1.2, 2.0


@dataclass(frozen=True)
class Case:
    """One way to unpack one tree below one directory."""

    tree: Tree
    way: str
    disk: str
    packed: Path

    def __str__(self) -> str:
        """Name it while it runs."""
        return f"{self.way}, {self.tree.name}, {self.disk}"


def call(case: Case, what: str, *target: str) -> dict[str, Any]:
    """Pack or unpack in a process of its own; return what it told."""
    with TemporaryDirectory() as place:
        for name in ("temporary", "warm"):
            Path(place, name).mkdir()
        Path(place, "warm", "tiny.py").touch()
        environment = clean_environment() | {
            "TMPDIR": f"{place}/temporary",
            "XDG_CACHE_HOME": f"{place}/cache",
        }
        paths = [str(case.tree.path), str(case.packed), f"{place}/warm", *target]
        return measure([sys.executable, str(SCRIPT), case.way, what, *paths], Path(place), environment).told


def run(case: Case) -> dict[str, Any]:
    """Unpack into a directory that is new and goes away again."""
    with TemporaryDirectory(dir=case.disk) as target:
        told = call(case, "unpack", target)
    assert told["files"] >= case.tree.files, f"{case} has unpacked only {told['files']} files"
    return told


def disks() -> dict[str, str]:
    """Return the directories to unpack in, each with the type of its file system."""
    found = {tempfile.gettempdir(): _type(tempfile.gettempdir())}
    if os.access(MEMORY_DISK, os.W_OK) and _type(MEMORY_DISK) not in found.values():
        found[MEMORY_DISK] = _type(MEMORY_DISK)
    return found


def _type(path: str) -> str:
    """Return the type of the file system that is mounted last above ``path``."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(at), kind) for at, kind in mounts if Path(path).is_relative_to(at)]
    return max(above, key=lambda each: each[0])[1]


def promises(row: str, figures: dict[str, tuple[float, float]]) -> Iterator[Promise]:
    """Yield what is promised of one tree on one file system."""
    ours = figures[OURS][0]
    if not row.startswith("small"):  # a few ms: what counts there is the price of a call
        ratio = ours / figures[FLOOR][0]
        yield Promise(row, "times the CPU of writing alone", ratio, FLOORS, at_least=False)
    if "flyte" in figures:
        yield Promise(row, "less CPU than flyte", figures["flyte"][0] / ours, FLYTE, at_least=True)


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trees", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--quick", action="store_true", help="one round of the small tree")
    given = parser.parse_args()
    names, rounds = (["small"], 1) if given.quick else (given.trees, given.rounds)
    print("\n".join([*describe().values(), compile_packages()]))
    ways = list(WAYS)
    for way, cause in [(way, cause) for way in ways if (cause := absent(way))]:
        print(f"left out: {way}: {cause}")
        ways.remove(way)
    print(f"\nmedians of {rounds} interleaved runs")
    verdicts: list[Promise] = []
    with trees(names) as made, TemporaryDirectory() as packed:
        for tree in made:
            for disk, kind in disks().items():
                figures = measured(
                    [Case(tree, way, disk, Path(packed, tree.name, way)) for way in ways], rounds
                )
                print(f"\n{tree}, on {kind}\n  {'':<20}{'CPU s':>8}{'wall s':>8}{'of floor':>10}")
                for way, (cpu, wall) in figures.items():
                    print(f"  {way:<20}{cpu:>8.3f}{wall:>8.3f}{cpu / figures[FLOOR][0]:>10.2f}", flush=True)
                verdicts += promises(f"{tree.name} {kind}", figures)
    print(f"\nload after: {load()}\n")
    print("\n".join(map(str, verdicts)))
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def measured(cases: list[Case], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians of CPU and wall seconds of each way."""
    for case in cases:
        if not case.packed.exists():
            case.packed.mkdir(parents=True)
            call(case, "pack")
    runs = interleave(cases, rounds, run)
    return {
        case.way: (median(one["cpu"] for one in told), median(one["wall"] for one in told))
        for case, told in runs.items()
    }


if __name__ == "__main__":
    sys.exit(main())
