"""Measure what ``import daskbridge`` costs, compared with ``import dataclasses``.

The figure is CPU time (user and system) of whole interpreter processes: medians of interleaved runs, so that
a change in the machine's load reaches all of them alike. An unmeasured first round compiles byte code into a
directory of its own, whatever PYTHONDONTWRITEBYTECODE says. Exits 1 if the import alone, without the start of
the interpreter, costs more than 5 times as much.
"""

from __future__ import annotations

import os
import sys
from statistics import median
from tempfile import TemporaryDirectory

START = "pass"
YARDSTICK = "import dataclasses"
PROMISED = "import daskbridge"
STATEMENTS = (START, YARDSTICK, PROMISED, "from daskbridge import Dask; Dask()")
ROUNDS = 25
LIMIT = 5.0


def cpu_seconds(statement: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds of one interpreter that executes ``statement``."""
    command = [sys.executable, "-c", statement]
    pid = os.posix_spawn(sys.executable, command, environment)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def measure() -> dict[str, float]:
    """Return the median CPU seconds of each statement."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    runs: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    with TemporaryDirectory() as cache:
        environment["PYTHONPYCACHEPREFIX"] = cache
        for number in range(ROUNDS + 1):
            for statement in STATEMENTS:
                seconds = cpu_seconds(statement, environment)
                if number:
                    runs[statement].append(seconds)
    return {statement: median(seconds) for statement, seconds in runs.items()}


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    cost = measure()
    start = cost[START]
    alone = {statement: max(seconds - start, 0.0) for statement, seconds in cost.items()}
    print(f"CPU ms, median of {ROUNDS} interleaved processes, Python {sys.version.split()[0]}")
    print(f"{'statement':<40}{'process':>9}{'import alone':>14}")
    for statement, seconds in cost.items():
        print(f"{statement:<40}{seconds * 1e3:>9.1f}{alone[statement] * 1e3:>14.1f}")
    ratio = alone[PROMISED] / alone[YARDSTICK]
    kept = ratio <= LIMIT
    with_start = cost[PROMISED] / cost[YARDSTICK]
    print(f"ratio of the imports: {ratio:.2f} alone, {with_start:.2f} with the interpreter's start")
    print(f"at most {LIMIT:g} alone is promised: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
