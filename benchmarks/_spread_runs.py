"""Send projects to the workers of a cluster, in all ways and in turn, and check where they went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from _peers import absent
from _rounds import interleave
from _spread_cluster import Cluster, Seen, cluster
from _spread_plugins import found
from _spread_ways import BYTES, FLYTE, NOTHING, ZIP, Daskbridge, DaskbridgeStore, Parcel, Pushed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: MB that a peer may send in all.
MOST = 1200
PROCESSES = 4


@dataclass(frozen=True)
class Case:
    """One way to send one project to the workers of some hosts."""

    way: Daskbridge | Pushed
    parcel: Parcel
    hosts: int = 1

    def __str__(self) -> str:
        """Name it while it runs."""
        return f"{self.way.title}, {self.parcel}, {self.hosts} hosts"


def run(case: Case, on: Cluster) -> Seen:
    """Send, check that each worker can import it and that each host has installed it once, take it away."""
    on.pretend(case.hosts)
    seen = on.watch(partial(case.way.deliver, on.client, case.parcel))
    if case.way is not BYTES and case.way is not NOTHING:
        places = on.client.run(found, case.parcel.module)
        assert all(places.values()), f"{case}: not every worker can import it"
    if isinstance(case.way, Daskbridge):
        check(case, on)
    case.way.undo(on.client, case.parcel)
    on.forget(case.parcel.bundle.digest)
    return seen


def check(case: Case, on: Cluster) -> None:
    """Raise AssertionError unless each host has fetched and installed once, and the scheduler once."""
    assert isinstance(case.way, Daskbridge)
    workers = [receipt for receipt in case.way.receipts if receipt.role == "worker"]
    fetched = Counter(
        int(receipt.name.partition("-")[0]) % case.hosts for receipt in workers if receipt.source != "cache"
    )
    source = "store" if case.way.url else "scheduler"
    assert {receipt.source for receipt in workers} <= {source, "cache"}, f"{case}: {workers}"
    assert fetched == Counter(range(case.hosts)), f"{case}: installs per host: {fetched}"
    for cache in on.caches():
        assert (cache / "v1" / case.parcel.bundle.digest / "tree").is_dir()


Table = dict[Case, list[Seen]]


def of_workers(
    counts: Sequence[int], made: list[Parcel], rounds: int, place: Path, show: Callable[[int, Table], None]
) -> dict[int, Table]:
    """Measure all ways with more and more workers on one host; show each number's figures as they come."""
    ways: list[Daskbridge | Pushed] = [Daskbridge(), DaskbridgeStore(f"file://{place}/store"), BYTES, ZIP]
    if cause := absent("flyte"):
        print(f"left out: flyte's way: {cause}")
    else:
        ways.append(FLYTE)
    tables = {}
    for count in counts:
        cases = [Case(NOTHING, made[0])]
        for parcel in made:
            costly = count * parcel.size > MOST
            cases += [Case(way, parcel) for way in ways if isinstance(way, Daskbridge) or not costly]
        with cluster(count, min(count, PROCESSES), place / f"workers-{count}") as on:
            tables[count] = measure_all(cases, rounds, on)
        show(count, tables[count])
    return tables


def of_hosts(hosts: Sequence[int], made: list[Parcel], rounds: int, place: Path) -> Table:
    """Measure our two ways with more and more hosts."""
    ways = [Daskbridge(), DaskbridgeStore(f"file://{place}/store")]
    cases = [Case(way, parcel, count) for parcel in made for count in hosts for way in ways]
    with cluster(max(hosts), max(hosts), place / "hosts") as on:
        return measure_all(cases, rounds, on)


def measure_all(cases: list[Case], rounds: int, on: Cluster) -> Table:
    """Run all cases in turn, after each way was run once with the first project."""
    for case in {case.way: case for case in reversed(cases)}.values():
        run(case, on)
    return interleave(cases, rounds, partial(run, on=on))
