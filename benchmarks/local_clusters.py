"""Measure local clusters against LocalCluster: time to a first result, CPU, the price of protections.

Each run is a fresh process, timed from outside; runs are interleaved, and medians compared. CPU is that of
the process and of all that come of it, orphans included. `result` are seconds to the first result, `whole` to
the end of the last process. For the second cluster of a process all are counted from the end of its first.

    python benchmarks/local_clusters.py [--rounds 5] [--rows first-2 cpu-8] [--json FILE]
    python benchmarks/local_clusters.py --profile [2]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from _machine import compile_packages, describe, load
from _measured import check_accounts
from _profile import profile
from _programs import OFF, Case, run
from _promises import KNOWN, ROWS, Figures, Table, cases, promises
from _rounds import interleave

if TYPE_CHECKING:
    from _promise import Promise


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument(
        "--profile",
        type=int,
        nargs="?",
        const=2,
        metavar="WORKERS",
        help="only say where one start's time goes",
    )
    given = parser.parse_args()
    about = {**describe(), "byte code": compile_packages(), "accounts": check_accounts()}
    missing = [name for name in OFF if name not in KNOWN]
    if missing:
        about["left out"] = f"this version can't switch off: {', '.join(missing)}"
    for line in about.values():
        print(line)
    print()
    if given.profile is not None:
        profile(given.profile)
        return 0
    table = Table(measure_all(given.rows, given.rounds))
    verdicts = list(promises(table, given.rows))
    print(f"seconds, medians of {given.rounds} interleaved runs (lowest to highest)")
    for row in given.rows:
        show(row, table)
    print()
    for verdict in verdicts:
        print(verdict)
    about["load after"] = f"load after: {load()}"
    print(f"\n{about['load after']}")
    if given.json:
        given.json.write_text(json.dumps(document(about, table, verdicts), indent=1) + "\n")
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def measure_all(rows: list[str], rounds: int) -> dict[Case, list[Figures]]:
    """Run each case once in each round, every other round backwards; rows share what they have in common."""
    wanted = list(dict.fromkeys(case for row in rows for case in cases(row)))
    wanted.sort(key=lambda case: (case.clusters, case.workers))  # what is compared runs close together
    return interleave(wanted, rounds, lambda case: Figures.of(case, run(case)[0]))


def show(row: str, table: Table) -> None:
    """Print the figures of one row."""
    print(f"\n{row}: {ROWS[row]}")
    print(f"  {'':<46}{'result':>7}{'whole':>24}{'CPU':>24}")
    for case in cases(row):
        title = case.title + (", second cluster" if case.clusters > 1 else "")
        cells = ""
        for name in ("result", "whole", "cpu"):
            values = [getattr(each, name) for each in table.runs[case]]
            spread = f"({min(values):.2f} to {max(values):.2f})"
            cells += f"{table.median(case, name):>7.2f} {spread:<16}"
        print(f"  {title:<46}{cells.rstrip()}")


def document(about: dict[str, str], table: Table, verdicts: list[Promise]) -> dict[str, object]:
    """Return all that was found, for a file."""
    return {
        "about": about,
        "cases": [
            {**asdict(case), "runs": [asdict(figures) for figures in runs]}
            for case, runs in table.runs.items()
        ],
        "promises": [asdict(verdict) | {"kept": verdict.kept} for verdict in verdicts],
    }


if __name__ == "__main__":
    sys.exit(main())
