"""Run cases in turn, so that a change in the machine's load reaches all of them alike."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Case = TypeVar("Case")
Figures = TypeVar("Figures")


def interleave(
    cases: Sequence[Case], rounds: int, run: Callable[[Case], Figures]
) -> dict[Case, list[Figures]]:
    """Run each case once in each round, every other round backwards; show on a terminal where it is."""
    runs: dict[Case, list[Figures]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases[:: -1 if number % 2 else 1]:
            if sys.stderr.isatty():
                sys.stderr.write(f"\033[Kround {number + 1}: {case}\r")
            runs[case].append(run(case))
    if sys.stderr.isatty():
        sys.stderr.write("\033[K")
    return runs
