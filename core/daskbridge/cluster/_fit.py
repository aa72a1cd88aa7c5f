"""Fit what a topology asks to the processors and the memory of this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from daskbridge.errors import ProvisioningError

if TYPE_CHECKING:
    from daskbridge.topology import Dask, WorkerGroup

T = TypeVar("T")

#: Workers per processor that are started at most: enough to try out a topology's shape on a laptop.
WORKERS_PER_CPU = 2
LEAST_WORKERS = 4
LEAST_MEMORY = 256 * 2**20


@dataclass(frozen=True)
class Machine:
    """What this process may use: processors, and memory in bytes, within its cgroup's limits."""

    cpus: int
    memory: int

    @classmethod
    def here(cls) -> Machine:
        """Ask Dask, which reads affinity, cgroups and resource limits."""
        import distributed  # noqa: F401 -- whole, before one of its modules: other threads import it, too
        from dask.system import cpu_count
        from distributed.system import memory_limit

        return cls(cpu_count(), memory_limit())

    @property
    def words(self) -> str:
        """Say how large it is."""
        return f"{self.cpus} processor{'' if self.cpus == 1 else 's'}, {_mib(self.memory)}"


@dataclass(frozen=True)
class Share:
    """What each worker of a group gets, and how many there are."""

    number: int
    threads: int
    memory: int


def fit(topology: Dask, machine: Machine, *, exact: bool = False) -> tuple[dict[str, Share], tuple[str, ...]]:
    """Return the share of each group and notes on what differs from what was asked.

    Counts are lowered, evenly over the groups and never below one, to what memory allows and to
    twice the processors (but at least four workers, to try things out). Where not even one worker of
    each group fits, their memory is lowered, too. With ``exact`` nothing is lowered: what does not
    fit raises ProvisioningError.
    """
    groups = topology.groups
    asked = {name: group.number_of_workers or 1 for name, group in groups.items()}
    needs = {name: memory_of(group) for name, group in groups.items()}
    needs, notes = _shrunk(needs, machine.memory, exact=exact)
    most = sum(asked.values()) if exact else max(LEAST_WORKERS, WORKERS_PER_CPU * machine.cpus, len(asked))
    numbers = _lower(asked, needs, most, machine.memory)
    if exact and numbers != asked:
        msg = f"{_total(asked, needs)} asked exactly, this machine has {_mib(machine.memory)}"
        raise ProvisioningError(
            msg, hint="ask for fewer workers or less memory, or drop provisioner_options.local.exact"
        )
    total = sum(numbers.values())
    free = machine.memory - sum(numbers[name] * (need or 0) for name, need in needs.items())
    unsized = sum(numbers[name] for name, need in needs.items() if need is None)
    shares = {
        name: Share(
            number=numbers[name],
            threads=threads_of(group, max(1, machine.cpus // total)),
            memory=needs[name] or free // unsized,
        )
        for name, group in groups.items()
    }
    notes += tuple(
        f"{name}: {asked[name]} workers were asked for, {numbers[name]} started"
        f" ({machine.cpus} processors, {_mib(machine.memory)})"
        for name in groups
        if numbers[name] != asked[name]
    )
    return shares, notes


def _shrunk(
    needs: dict[str, int | None], memory: int, *, exact: bool
) -> tuple[dict[str, int | None], tuple[str, ...]]:
    """Lower what workers need until one of each group fits: large topologies are tried out here."""
    asked = {name: need or LEAST_MEMORY for name, need in needs.items()}
    least = sum(asked.values())
    if least <= memory:
        return needs, ()
    if exact:
        each = ", ".join(f"{name}: {_mib(need)}" for name, need in asked.items())
        msg = f"one worker of each group needs {_mib(least)}, this machine has {_mib(memory)} ({each})"
        hint = "lower resources.memory, or choose a provisioner with larger machines"
        raise ProvisioningError(msg, hint=hint)
    given = {name: need * memory // least for name, need in asked.items()}
    notes = tuple(
        f"{name}: {_mib(asked[name])} of memory were asked for a worker, {_mib(given[name])} given"
        for name in needs
    )
    return {**given}, notes


def _lower(asked: dict[str, int], needs: dict[str, int | None], most: int, memory: int) -> dict[str, int]:
    numbers = dict(asked)

    def too_much() -> bool:
        used = sum(numbers[name] * (need or LEAST_MEMORY) for name, need in needs.items())
        return sum(numbers.values()) > most or used > memory

    while too_much() and max(numbers.values()) > 1:
        numbers[max(numbers, key=lambda name: numbers[name])] -= 1
    return numbers


def threads_of(group: WorkerGroup, default: T) -> int | T:
    """Return how many tasks each worker of a group runs at once, or ``default`` where nothing is asked."""
    if group.threads is not None:
        return group.threads
    cpus = group.resources.request("cpu") if group.resources else None
    return default if cpus is None else math.ceil(cpus)


def memory_of(group: WorkerGroup) -> int | None:
    """Return the bytes of memory that each worker of a group has at most; None where nothing is asked."""
    if group.resources is None:
        return None
    asked = group.resources.limit("memory") or group.resources.request("memory")
    return None if asked is None else math.ceil(asked)


def _mib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _total(numbers: dict[str, int], needs: dict[str, int | None]) -> str:
    return ", ".join(
        f"{number} x {_mib(needs[name] or LEAST_MEMORY)} ({name})" for name, number in numbers.items()
    )
