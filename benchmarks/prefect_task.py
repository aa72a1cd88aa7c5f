"""Measure the way from the call of a decorated Prefect task to its first result, against prefect-dask.

Real server, fresh processes in turn, each with several flows after one that warms it up; two workers, and a
module of the user's on them. prefect-dask's time is that of a flow with one task, since there a cluster
belongs to a flow.

    python benchmarks/prefect_task.py [--rounds 3] [--peer PYTHON]

`--peer` is an interpreter that has prefect-dask; without one only ours is shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any

from _machine import compile_packages, describe, load
from _prefect_programs import has_peer, serving
from _promise import Promise
from _rounds import interleave

OURS, PEER = "daskbridge", "prefect-dask"
PROGRAM = Path(__file__).parent / "_prefect_task.py"
#: Flows of each process that count, and how many times as fast as the peer.
FLOWS, FASTER = 3, 5


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON")
    given = parser.parse_args()
    ways = [OURS, PEER] if has_peer(given.peer) else [OURS]
    print("\n".join([*describe().values(), compile_packages()]), flush=True)
    with serving() as server:

        def run(way: str) -> dict[str, Any]:
            return server.play(given.peer if way == PEER else sys.executable, PROGRAM, way, str(FLOWS))

        runs = interleave(ways, given.rounds, run)
    print(f"\nseconds to the first result, medians (lowest to highest)\n\n{'':<14}{'wall':>24}{'CPU':>24}")
    found = {}
    for way, figures in runs.items():
        cells = ""
        for part in ("wall", "cpu"):
            all_of_them = [value for each in figures for value in each[part]]
            found[way, part] = median(all_of_them)
            cells += f"{median(all_of_them):>8.2f} ({min(all_of_them):.2f} to {max(all_of_them):.2f})".rjust(
                24
            )
        print(f"{way:<14}{cells}")
    print(f"\nload after: {load()}")
    if PEER not in ways:
        print(f"{PEER} is left out: {given.peer} does not have it")
        return 0
    ratio = found[PEER, "wall"] / found[OURS, "wall"]
    verdict = Promise("", f"times as fast as a flow of {PEER}", ratio, FASTER, at_least=True)
    print(f"{verdict}\nin CPU {found[PEER, 'cpu'] / found[OURS, 'cpu']:.1f} times")
    return 0 if verdict.kept else 1


if __name__ == "__main__":
    sys.exit(main())
