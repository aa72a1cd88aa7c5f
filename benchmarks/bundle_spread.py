"""Measure what it costs to bring a project to all workers of a running cluster.

A scheduler process, and real workers, many in each of a few processes, on the loopback. Projects can't be
compressed, so their size is what travels. `wall` are the seconds until every worker can import the project,
`scheduler` are the CPU seconds of the scheduler's process, `all` those of all nodes, `memory` is the growth
of the scheduler in MiB at its highest. Each way is run once before it counts; then runs are interleaved. Of
memory the highest counts, of the rest the median. Files are in memory where there is a memory disk.

The first table is of one host: all workers share one bundle cache, and the scheduler has one of its own. In
the second one 16 worker processes pretend to be several hosts, each with a cache of its own, and fetch from
the scheduler or from a store (a file:// URL, so its network costs nothing, and publishing is in the figures).
Peers run the plugins in the workers, as the ways of UploadDirectory and of flyte are: bytes in the plugin,
and a download by each worker. What would send more than 1.2 GB in all is left out for them.

    python benchmarks/bundle_spread.py [--rounds 5] [--workers 4 16 64 200] [--sizes 0.1 5 50] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from _disks import fastest
from _machine import compile_packages, describe, load
from _promise import Promise
from _spread_runs import Case, Table, of_hosts, of_workers
from _spread_ways import BYTES, NOTHING, Daskbridge, parcels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _spread_cluster import Seen
    from _spread_ways import Parcel

HOSTS = (1, 2, 4, 8, 16)
#: MiB above the bundle's; times faster than bytes in a plugin; times a plugin that does nothing.
MEMORY, PUSH, NOTHINGS = 8.0, 5.0, 10.0
MANY, MIDDLE = 200, 5.0
#: Of two walls, the ratio from which on it is no accident.
CLEARLY = 0.9


def show_workers(count: int, table: Table) -> None:
    """Print the figures of one number of workers."""
    print(f"\n{count} workers on one host")
    print(f"  {'':<28}{'MB':>6}{'wall':>9}{'scheduler':>11}{'all':>9}{'memory':>9}")
    for case, seen in table.items():
        size = f"{case.parcel.size:g}" if case.way is not NOTHING else ""
        print(f"  {case.way.title:<28}{size:>6}{cells(seen)}", flush=True)


def show_hosts(table: Table) -> None:
    """Print the figures of each number of hosts, and from how many on a store is faster."""
    workers = max(case.hosts for case in table)
    print(f"\n{workers} workers on several hosts: from the scheduler | from a store")
    head = f"{'wall':>9}{'scheduler':>11}{'all':>9}{'memory':>9}"
    print(f"  {'MB':>6}{'hosts':>7}{head}  |{head}")
    for parcel in dict.fromkeys(case.parcel for case in table):
        better = 0
        for hosts in dict.fromkeys(case.hosts for case in table):
            wanted = (parcel, hosts)
            direct, store = (seen for case, seen in table.items() if (case.parcel, case.hosts) == wanted)
            faster = middle(store, "wall") < CLEARLY * middle(direct, "wall")
            better = (better or hosts) if faster else 0
            print(f"  {parcel.size:>6g}{hosts:>7}{cells(direct)}  |{cells(store)}")
        words = f"clearly faster from {better} hosts on" if better else "not clearly faster"
        print(f"  a store is {words}; {each_host(table, parcel)}")


def each_host(table: Table, parcel: Parcel) -> str:
    """Word what one more host that fetches from the scheduler costs that in CPU."""
    spent = {
        case.hosts: middle(seen, "scheduler_cpu")
        for case, seen in table.items()
        if case.parcel == parcel and type(case.way) is Daskbridge
    }
    few, many = min(spent), max(spent)
    each = (spent[many] - spent[few]) / max(many - few, 1) * 1e3
    return f"without one each host more costs the scheduler {each:.1f} CPU ms"


def cells(seen: list[Seen]) -> str:
    """Word the figures of all rounds."""
    return (
        f"{middle(seen, 'wall'):>9.3f}{middle(seen, 'scheduler_cpu'):>11.3f}{middle(seen, 'cpu'):>9.2f}"
        f"{highest(seen):>9.1f}"
    )


def middle(seen: list[Seen], what: str) -> float:
    """Return the median of one figure."""
    return float(median(getattr(each, what) for each in seen))


def highest(seen: list[Seen]) -> float:
    """Return the highest growth of memory."""
    return max(each.memory for each in seen)


def promises(tables: dict[int, Table], hosts: Table) -> Iterator[Promise]:
    """Yield what is promised of many workers and hosts, as far as they were measured."""
    for count, table in tables.items():
        walls = {(case.way.title, case.parcel.size): middle(seen, "wall") for case, seen in table.items()}
        nothing = next(middle(seen, "wall") for case, seen in table.items() if case.way is NOTHING)
        for case, seen in table.items():
            if type(case.way) is Daskbridge:
                yield _memory(f"{count} w", case, seen)
        if count == MANY and (ours := walls.get((Daskbridge.title, MIDDLE))):
            ratio, words = walls[BYTES.title, MIDDLE] / ours, f"{MIDDLE:g} MB: faster than {BYTES.title}"
            yield Promise(f"{count} w", words, ratio, PUSH, at_least=True)
            words = f"{MIDDLE:g} MB: times the wall of {NOTHING.title}"
            yield Promise(f"{count} w", words, ours / nothing, NOTHINGS, at_least=False)
    for case, seen in hosts.items():
        if type(case.way) is Daskbridge and case.hosts == max(other.hosts for other in hosts):
            yield _memory(f"{case.hosts} hosts", case, seen)


def _memory(row: str, case: Case, seen: list[Seen]) -> Promise:
    limit = round(case.parcel.bundle.size / 2**20 + MEMORY, 1)
    words = f"{case.parcel}: the scheduler's growth, its bundle and {MEMORY:g} MiB"
    return Promise(row, words, highest(seen), limit, at_least=False, unit="MiB")


def main() -> int:
    """Print the tables and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", nargs="+", type=int, default=[4, 16, 64, MANY])
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.1, MIDDLE, 50.0], help="MB, packed")
    parser.add_argument("--hosts", nargs="+", type=int, default=list(HOSTS))
    parser.add_argument("--quick", action="store_true", help="one round of the smallest")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.workers, given.sizes, given.hosts = 1, [4], [0.1, MIDDLE], [1, 4]
    print("\n".join([*describe().values(), compile_packages()]))
    print(f"\nmedians of {given.rounds} interleaved runs")
    with TemporaryDirectory(dir=fastest()) as place, parcels(given.sizes) as made:
        tables = of_workers(given.workers, made, given.rounds, Path(place), show_workers)
        hosts = of_hosts(given.hosts, made, given.rounds, Path(place))
    show_hosts(hosts)
    print(f"\nload after: {load()}\n")
    print("each host fetched and installed exactly once, in every run: kept")
    verdicts = list(promises(tables, hosts))
    print("\n".join(map(str, verdicts)))
    return 0 if all(verdict.kept for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
