"""Measure what a trivial Prefect task costs under DaskTaskRunner and its peers, on a real server.

Each run is a fresh process with two workers; runs alternate, every other round goes backwards, and medians
are compared. CPU is that of the flow's process, of scheduler and workers, and of the server less its idle
load; the start is not counted. A run counts only if the API knows every task run as completed. The server
takes the same three events of each task whatever the runner, so it is compared with threads' only.

    python benchmarks/prefect_runner.py [--rounds 3] [--tasks 100 500] [--peer PYTHON] [--memory 5000]

`--peer` is an interpreter that has prefect-dask; without one its rows are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from _machine import compile_packages, describe, load
from _prefect_programs import Case, has_peer, serving
from _promise import Promise
from _rounds import interleave

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, PEER, THREADS, DASK = "daskbridge", "prefect-dask", "ThreadPoolTaskRunner", "client.map"
#: How many times less than the peer, how many times as much as threads; ms of the flow's thread.
LIGHTER, THREADS_TIMES, SUBMIT = 8, 3, 2.0
#: What the cost of a task may grow by from the fewest to the most tasks, and memory per task in KiB.
GROWTH, KIB = 1.25, 2.0
#: Rounds of a memory run; the first ones fill caches.
MEMORY_ROUNDS, SETTLED = 10, 3

Runs = dict[Case, list[dict[str, Any]]]


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="TASKS", help="measure memory over so many tasks, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    given = parser.parse_args()
    about = {**describe(), "byte code": compile_packages()}
    runners = [OURS, THREADS, DASK]
    if has_peer(given.peer):
        runners.insert(1, PEER)
    else:
        about["left out"] = f"{PEER}: {given.peer} does not have it"
    print("\n".join(about.values()), flush=True)
    runs, memory = measure(runners, given.tasks, given.rounds, given.peer, given.memory)
    show(runs)
    verdicts = list(promises(runs, memory))
    print()
    for verdict in verdicts:
        print(verdict)
    about["load after"] = f"load after: {load()}"
    print(f"\n{about['load after']}")
    if given.json:
        cases = [{**asdict(case), "runs": found} for case, found in [*runs.items(), *memory.items()]]
        document = {"about": about, "cases": cases, "promises": [asdict(each) for each in verdicts]}
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def measure(runners: list[str], tasks: list[int], rounds: int, peer: str, memory: int) -> tuple[Runs, Runs]:
    """Run every case once in each round; then, for ours, what memory takes."""
    kept: Runs = {}
    with serving() as server:

        def run(case: Case) -> dict[str, Any]:
            figures = server.run(case, peer if case.runner == PEER else sys.executable)
            if figures["completed"] != case.tasks:
                raise SystemExit(f"{case}: the API knows {figures['completed']} completed task runs")
            return figures

        server.run(Case(THREADS, max(tasks)), sys.executable)  # a new server's first tasks cost it more
        runs = interleave([Case(runner, number) for number in tasks for runner in runners], rounds, run)
        if memory:
            case = Case(OURS, memory // MEMORY_ROUNDS, MEMORY_ROUNDS)
            kept[case] = [server.run(case, sys.executable)]
    return runs, kept


def each_ms(case: Case, figures: dict[str, Any], *parts: str) -> float:
    """Return milliseconds for each task."""
    return float(sum(figures[part] for part in parts)) / case.tasks / case.rounds * 1000


def total(runs: Runs, case: Case, *parts: str) -> float:
    """Return the median CPU of a task in milliseconds: of all, or of some parts."""
    return median(each_ms(case, figures, *(parts or ("client", "nodes", "server"))) for figures in runs[case])


def show(runs: Runs) -> None:
    """Print the figures of each case."""
    print("\nms for each task, medians (lowest to highest total)\n")
    parts = ("client", "nodes", "server", "submit", "wall")
    print(f"{'':<24}{'tasks':>6}" + "".join(f"{part:>9}" for part in parts) + f"{'CPU in all':>22}")
    for case, found in runs.items():
        cells = "".join(f"{median(each_ms(case, each, part) for each in found):>9.2f}" for part in parts)
        totals = [each_ms(case, each, "client", "nodes", "server") for each in found]
        spread = f"{median(totals):.1f} ({min(totals):.1f} to {max(totals):.1f})"
        print(f"{case.runner:<24}{case.tasks:>6}{cells}{spread:>22}")


def promises(runs: Runs, memory: Runs) -> Iterator[Promise]:
    """Compare what was found with what was promised."""
    numbers = sorted({case.tasks for case in runs})
    for number in numbers:
        row, ours = f"{number} tasks", total(runs, Case(OURS, number))
        if Case(PEER, number) in runs:
            text = f"CPU of flow and nodes: a part of {PEER}'s"
            both = (total(runs, Case(runner, number), "client", "nodes") for runner in (OURS, PEER))
            yield Promise(row, text, next(both) / next(both), 1 / LIGHTER, at_least=False)
        threads = total(runs, Case(THREADS, number))
        yield Promise(row, f"CPU: times {THREADS}'s", ours / threads, THREADS_TIMES, at_least=False)
        submit = median(each_ms(Case(OURS, number), each, "submit") for each in runs[Case(OURS, number)])
        yield Promise(row, "flow's thread for each submit", submit, SUBMIT, at_least=False, unit="ms")
    if len(numbers) > 1:
        grown = total(runs, Case(OURS, numbers[-1])) / total(runs, Case(OURS, numbers[0]))
        text = f"CPU of a task, {numbers[-1]} against {numbers[0]} tasks"
        yield Promise("", text, grown, GROWTH, at_least=False)
    for case, [figures] in memory.items():
        sizes = figures["memory"]
        later = case.tasks * (case.rounds - SETTLED)
        for place, name in enumerate(("the flow's process", "the scheduler")):
            grown = (sizes[-1][place] - sizes[SETTLED - 1][place]) * 1024 / later
            row = f"{case.tasks * case.rounds} tasks"
            yield Promise(row, f"stay of each in {name}", grown, KIB, at_least=False, unit="KiB")


if __name__ == "__main__":
    sys.exit(main())
