"""What is promised of local clusters, row by row, and which programs have to be measured for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING

from _programs import OFF, Case
from _promise import Promise

from daskbridge.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _measured import Measured

ROWS = {
    "first-2": "fresh interpreter to the first result of a user's module, 2 workers",
    "first-4": "the same with 4 workers",
    "cpu-8": "scheduler, 8 workers and a first task, in a fresh process and as its second cluster",
    "second-4": "second cluster of a process to the first result of a user's module, 4 workers",
    "switches-4": "each protection on and off, 4 workers",
}
#: The protections that this version can switch off.
KNOWN = tuple(name for name in OFF if name in SETTINGS)
FLOOR = Case("import distributed")
OURS = partial(Case, "daskbridge")
PEER = partial(Case, "LocalCluster, UploadDirectory")
BARE_PEER = partial(Case, "LocalCluster")


@dataclass(frozen=True)
class Figures:
    """Seconds of one run: to the first result, to the end of it all, and of CPU.

    For a second cluster all are counted from the end of the first; else they are of the whole process.
    ``steps`` is the cluster's own timeline, where there is one.
    """

    result: float
    whole: float
    cpu: float
    steps: dict[str, float]

    @classmethod
    def of(cls, case: Case, measured: Measured) -> Figures:
        """Read them from what was measured."""
        timelines = measured.told.get("steps", [()])
        steps = {name: seconds for name, seconds, _ in timelines[-1]}
        marks = measured.marks
        if case.clusters == 1:
            return cls(marks[0].at, measured.whole, measured.cpu, steps)
        begin, result, closed = marks[1], marks[2], marks[3]
        return cls(result.at - begin.resumed, closed.at - begin.resumed, closed.cpu - begin.cpu, steps)


def cases(row: str) -> list[Case]:
    """Return the programs of one row."""
    without_tls = [("tls",)] if "tls" in KNOWN else []
    if row.startswith("first-"):
        n = int(row.removeprefix("first-"))
        return [FLOOR, OURS(n), *(OURS(n, off=off) for off in without_tls), PEER(n)]
    if row == "cpu-8":
        return [of(8, clusters) for clusters in (1, 2) for of in (OURS, BARE_PEER)]
    if row == "second-4":
        return [OURS(4, 2), *(OURS(4, 2, off) for off in without_tls), PEER(4, 2)]
    return [OURS(4), *(OURS(4, off=(name,)) for name in KNOWN)]


class Table:
    """Hold the figures of all runs, in the order of the rounds."""

    def __init__(self, runs: dict[Case, list[Figures]]) -> None:
        self.runs = runs

    def median(self, case: Case, what: str) -> float:
        """Return the median of one figure."""
        return median(getattr(each, what) for each in self.runs[case])

    def ratio(self, what: str, slow: Case, fast: Case) -> float:
        """Return how many times as long the slow one takes."""
        return self.median(slow, what) / self.median(fast, what)

    def added(self, what: str, on: Case, off: Case) -> tuple[float, str]:
        """Return the median of the rounds' differences, and how far they spread."""
        pairs = zip(self.runs[on], self.runs[off], strict=True)
        differences = [getattr(one, what) - getattr(other, what) for one, other in pairs]
        low, _, high = quantiles(differences, method="inclusive") if len(differences) > 1 else differences * 3
        return median(differences), f"quartiles {low:.2f} to {high:.2f}"


def promises(table: Table, rows: Sequence[str]) -> Iterator[Promise]:
    """Yield what is promised of the rows, as far as this version has the settings."""
    for row in rows:
        if row.startswith("first-"):
            yield from _first(table, row, int(row.removeprefix("first-")))
        elif row == "cpu-8":
            for clusters, words, limit in ((1, "cold", 5.0), (2, "warm", 8.0)):
                value = table.ratio("cpu", BARE_PEER(8, clusters), OURS(8, clusters))
                yield Promise(row, f"less CPU than LocalCluster, {words}", value, limit, at_least=True)
        elif row == "second-4":
            for off, limit in (((), 8.0), (("tls",), 12.0)):
                if set(off) <= set(KNOWN):
                    value = table.ratio("result", PEER(4, 2), OURS(4, 2, off))
                    yield Promise(row, f"faster than the peer{_without(off)}", value, limit, at_least=True)
        else:
            for name in KNOWN:
                limit = 0.2 if name == "tls" else 0.05
                value, spread = table.added("cpu", OURS(4), OURS(4, off=(name,)))
                wall, walls = table.added("result", OURS(4), OURS(4, off=(name,)))
                note = f"{spread}; to the result {wall:.2f} s, {walls}"
                yield Promise(
                    row, f"{name}: seconds of CPU", value, limit, at_least=False, note=note, unit="s"
                )


def _first(table: Table, row: str, n: int) -> Iterator[Promise]:
    for off, faster, floors in (((), 2.5, 2.0), (("tls",), 3.0, 1.7)):
        if set(off) <= set(KNOWN):
            case, which = OURS(n, off=off), _without(off)
            value = table.ratio("result", PEER(n), case)
            yield Promise(row, f"faster than the peer{which}", value, faster, at_least=True)
            value = table.ratio("result", case, FLOOR)
            yield Promise(row, f"of `import distributed`{which}", value, floors, at_least=False)


def _without(off: tuple[str, ...]) -> str:
    return f", {', '.join(off)} off" if off else ", with all defaults"
