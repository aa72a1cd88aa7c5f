"""Time one job in a process of its own, and tell it to the program that measures.

Runs in interpreters of peers, too, so it needs the standard library only.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def tell(job: Callable[[], dict[str, Any]]) -> None:
    """Run ``job`` and tell what it returns with its seconds of wall and CPU, and the growth of memory in MiB.

    CPU is that of this process and of the children that it waits for, memory the highest resident set of this
    process alone, without what it had before. ``ru_maxrss`` would not do: a process inherits it from the one
    that started it.
    """
    reset_peak("self")
    before, cpu, begin = resident("self"), _cpu(), time.perf_counter()
    told = job()
    wall, cpu = time.perf_counter() - begin, _cpu() - cpu
    told |= {"wall": wall, "cpu": cpu, "memory": peak("self") - before}
    print("TOLD", json.dumps(told), flush=True)


def reset_peak(pid: int | str) -> None:
    """Let the highest resident set of a process begin at what it has now."""
    Path("/proc", str(pid), "clear_refs").write_text("5")


def peak(pid: int | str) -> float:
    """Return the highest resident set of a process in MiB."""
    return _status(pid, "VmHWM:")


def resident(pid: int | str) -> float:
    """Return the resident set of a process in MiB."""
    return _status(pid, "VmRSS:")


def _status(pid: int | str, key: str) -> float:
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
