"""Measure what it costs to pack a project: cold, again without a change, and after a change of one file.

Each run is a fresh process with a bundle cache of its own, timed from within after all imports and after a
first, tiny project; runs are interleaved, and medians of CPU seconds (user and system, with children)
compared. All files are in memory, and none in any cache of daskbridge. `nothing changed` and `one file
changed` begin with a cache in which another process has just packed the same tree. `memory` is the growth of
the process that packs, in MiB; tools have processes of their own, of which it is not known.

    python benchmarks/bundle_build.py [--rounds 5] [--trees small medium large] [--ray] [--quick]
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

from _disks import fastest
from _machine import clean_environment, compile_packages, describe, load
from _measured import measure
from _peers import absent, install_ray, interpreter
from _promise import Promise
from _rounds import interleave
from _trees import SIZES, USERMOD, USUAL, Tree, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("_build_jobs.py")
OURS, FLOOR, WALK = "daskbridge", "tar | zstd -3", "os.walk"
PEERS = ("UploadDirectory", "Ray", "flyte")
COLD, SAME, CHANGED = "cold", "nothing changed", "one file changed"
#: Times the CPU of each, and MiB.
FLOORS, FLYTE, UPLOADS, WALKS, MEMORY = 1.25, 10.0, 3.0, 6.0, 32.0


@dataclass(frozen=True)
class Case:
    """One way to pack one tree, from a cold cache or from one that knows the tree."""

    tree: Tree
    way: str
    state: str = COLD

    def __str__(self) -> str:
        """Name it in a table."""
        return self.way if self.state == COLD else f"{self.way}, {self.state}"


def run(case: Case) -> dict[str, Any]:
    """Run a case in a process of its own; return what it told."""
    with TemporaryDirectory(dir=fastest()) as place:
        for name in ("temporary", "warm"):
            Path(place, name).mkdir()
        Path(place, "warm", "tiny.py").touch()
        if case.state == COLD:
            return _told(case, place)
        _told(case, place)
        if case.state == SAME:
            return _told(case, place)
        module = case.tree.path / USERMOD
        text, known = module.read_text(), module.stat()
        try:
            module.write_text(text + "CHANGED = True\n")
            return _told(case, place)
        finally:
            module.write_text(text)
            os.utime(module, ns=(known.st_atime_ns, known.st_mtime_ns))


def _told(case: Case, place: str) -> dict[str, Any]:
    environment = clean_environment() | {
        "TMPDIR": f"{place}/temporary",
        "XDG_CACHE_HOME": f"{place}/cache",
        "DASK_DASKBRIDGE__CACHE_DIRECTORY": f"{place}/cache/daskbridge",
    }
    command = [interpreter(case.way), str(SCRIPT), case.way, str(case.tree.path), f"{place}/warm"]
    return measure(command, Path(place), environment).told


def cases(made: list[Tree], ways: list[str]) -> list[Case]:
    """Return what is run, tree by tree."""
    of_all = [Case(tree, way) for tree in made for way in ways]
    return of_all + [Case(tree, OURS, state) for tree in made for state in (SAME, CHANGED)]


def promises(tree: Tree, figures: dict[str, dict[str, float]]) -> Iterator[Promise]:
    """Yield what is promised of a tree, as far as the peers are there."""
    ours, worst = figures[OURS], max(figures[row]["memory"] for row in figures if row.startswith(OURS))
    if FLOOR in figures:
        ratio = ours["cpu"] / figures[FLOOR]["cpu"]
        yield Promise(tree.name, f"times the CPU of {FLOOR}", ratio, FLOORS, at_least=False)
    tiny = tree.name == "small"  # a walk of 0.1 ms: what counts there is the price of a call
    for peer, limit in (("flyte", FLYTE), ("UploadDirectory", UPLOADS)):
        if peer in figures and (peer == "flyte" or not tiny):
            ratio = figures[peer]["cpu"] / ours["cpu"]
            yield Promise(tree.name, f"less CPU than {peer}", ratio, limit, at_least=True)
    if not tiny:
        ratio = figures[f"{OURS}, {SAME}"]["cpu"] / figures[WALK]["cpu"]
        yield Promise(tree.name, "nothing changed: times the CPU of os.walk", ratio, WALKS, at_least=False)
    yield Promise(tree.name, "growth of memory, of all runs", worst, MEMORY, at_least=False, unit="MiB")


def show(tree: Tree, figures: dict[str, dict[str, float]]) -> None:
    """Print the figures of one tree; ratios are those of CPU seconds to ours when cold."""
    print(f"\n{tree}")
    print(f"  {'':<30}{'CPU s':>8}{'wall s':>8}{'ratio':>7}{'memory':>8}{'MB out':>8}{'files':>8}")
    for title, of in figures.items():
        ratio = of["cpu"] / figures[OURS]["cpu"]
        memory = f"{of['memory']:.1f}" if title not in (FLOOR, WALK) else ""
        files = f"{of['files']:.0f}" if of["files"] else ""
        out = f"{of['bytes'] / 1e6:.2f}" if of["bytes"] else ""
        print(
            f"  {title:<30}{of['cpu']:>8.3f}{of['wall']:>8.3f}{ratio:>7.2f}{memory:>8}{out:>8}{files:>8}",
            flush=True,
        )


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trees", nargs="+", choices=SIZES, default=list(USUAL))
    parser.add_argument("--ways", nargs="*", choices=PEERS, default=list(PEERS), help="peers to compare with")
    parser.add_argument("--ray", action="store_true", help="install ray into .venvs/peers first")
    parser.add_argument("--quick", action="store_true", help="one round of the small tree")
    given = parser.parse_args()
    if given.ray:
        install_ray()
    names, rounds = (["small"], 1) if given.quick else (given.trees, given.rounds)
    print("\n".join([*describe().values(), compile_packages()]))
    ways = [OURS, FLOOR, *given.ways, WALK]
    for way, cause in [(way, cause) for way in ways if (cause := absent(way))]:
        print(f"left out: {way}: {cause}")
        ways.remove(way)
    verdicts: list[Promise] = []
    print(f"\nmedians of {rounds} interleaved runs")
    with trees(names) as made:
        for tree in made:
            runs = interleave(cases([tree], ways), rounds, run)
            figures = {str(case): medians(told) for case, told in runs.items()}
            show(tree, figures)
            verdicts += promises(tree, figures)
    print(f"\nload after: {load()}\n")
    print("\n".join(map(str, verdicts)))
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def medians(told: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median of each figure; of memory the highest."""
    middle = {name: median(one.get(name, 0) for one in told) for name in ("cpu", "wall", "bytes", "files")}
    return middle | {"memory": max(one["memory"] for one in told)}


if __name__ == "__main__":
    sys.exit(main())
