"""Measure what it costs to install a project on a host, once its archive is there.

Each run is a fresh process that unpacks into a new directory, timed from within after all imports; runs are
interleaved, and medians of CPU seconds (user and system, with children) compared. The floor writes the same
files from memory: no archive, no check. `write, hash, zstd` also hashes each file and decompresses an archive
of them to nowhere, which nobody is spared who checks what he unpacks. Before each run all that was written
before is brought to the disk; what a run itself leaves to be written later counts for nobody.

What was unpacked stays until the end, far from what was removed lately: ext4 avoids inodes that were freed
within the last five minutes, which can cost more than all else. For the sake of other programs of the machine
trees of many files are unpacked in memory only.

    python benchmarks/bundle_install.py [--rounds 5] [--trees small medium large] [--quick]
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from _disks import calm, disks
from _machine import clean_environment, compile_packages, describe, load
from _measured import measure
from _peers import absent
from _promise import Promise
from _rounds import interleave
from _trees import SIZES, USUAL, Tree, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _disks import Disk

SCRIPT = Path(__file__).with_name("_install_jobs.py")
OURS, FLOOR = "daskbridge", "write only"
WAYS = (OURS, FLOOR, "write, hash, zstd", "tar -x --zstd", "tar -xz", "UploadDirectory", "flyte")
#: Times the CPU of each.
FLOORS, FLYTE = 1.2, 2.0
#: Files that are only unpacked in memory.
MANY = 10_000


@dataclass(frozen=True)
class Case:
    """One way to unpack one tree below one directory."""

    tree: Tree
    way: str
    disk: Disk
    room: Path
    packed: Path

    def __str__(self) -> str:
        """Name it while it runs."""
        return f"{self.way}, {self.tree.name}, {self.disk.type}"


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
    """Unpack into a new directory."""
    target = calm(case.room)
    if not case.disk.in_memory:
        os.sync()  # what earlier runs have left to be written is not this one's
    told = call(case, "unpack", target)
    assert told["files"] >= case.tree.files, f"{case} has unpacked only {told['files']} files"
    return told


def promises(row: str, figures: dict[str, tuple[float, float]]) -> Iterator[Promise]:
    """Yield what is promised of one tree on one file system."""
    ours = figures[OURS][0]
    if not row.startswith("small"):  # a few ms: what counts there is the price of a call
        ratio = ours / figures[FLOOR][0]
        yield Promise(row, "times the CPU of writing alone", ratio, FLOORS, at_least=False)
    if "flyte" in figures:
        yield Promise(row, "less CPU than flyte", figures["flyte"][0] / ours, FLYTE, at_least=True)


def show(title: str, figures: dict[str, tuple[float, float]]) -> None:
    """Print the figures of one tree on one file system."""
    print(f"\n{title}\n  {'':<20}{'CPU s':>8}{'wall s':>8}{'of floor':>10}")
    for way, (cpu, wall) in figures.items():
        print(f"  {way:<20}{cpu:>8.3f}{wall:>8.3f}{cpu / figures[FLOOR][0]:>10.2f}", flush=True)


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trees", nargs="+", choices=SIZES, default=list(USUAL))
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
        for disk in disks():
            with disk.room() as room:
                for tree in [tree for tree in made if disk.in_memory or tree.files < MANY]:
                    cases = [Case(tree, way, disk, room, Path(packed, tree.name, way)) for way in ways]
                    figures = measured(cases, rounds)
                    show(f"{tree}, on {disk.type}", figures)
                    verdicts += promises(f"{tree.name} {disk.type}", figures)
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
