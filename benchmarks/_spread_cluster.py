"""A scheduler and worker processes, looked at from outside while something is sent to all workers."""

from __future__ import annotations

import ctypes
import gc
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _job import peak, reset_peak, resident
from _machine import clean_environment
from _processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

SCRIPT = Path(__file__).with_name("_spread_node.py")
#: Seconds for all workers to come, and for a process to end.
_COME, _GO = 120, 20
#: What costs CPU in each worker and is no part of what is measured.
QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}


@dataclass(frozen=True)
class Seen:
    """Seconds until all had it, CPU of the scheduler and of all nodes, the scheduler's growth in MiB."""

    wall: float
    scheduler_cpu: float
    cpu: float
    memory: float


class Cluster:
    """Hold the processes; each pretended host is a directory for the bundle cache."""

    def __init__(self, client: Client, nodes: list[int], place: Path) -> None:
        self.client = client
        self.scheduler, *self.workers = nodes
        self.place = place
        self.hosts = 0

    def pretend(self, hosts: int) -> None:
        """Spread the worker processes over ``hosts`` bundle caches; the scheduler's is another one."""
        if hosts != self.hosts:
            self.hosts = hosts
            self.client.run(_use_cache, str(self.place), hosts)

    def caches(self) -> list[Path]:
        """Return the bundle caches of the pretended hosts."""
        return [self.place / f"host-{number}" for number in range(self.hosts)]

    def forget(self, digest: str) -> None:
        """Remove a tree from all caches, while nothing uses it."""
        for cache in [*self.caches(), self.place / "scheduler"]:
            shutil.rmtree(cache / "v1" / digest, ignore_errors=True)

    def watch(self, deliver: Callable[[], object]) -> Seen:
        """Run ``deliver`` and return what it took."""
        self.client.run_on_scheduler(_trim)
        reset_peak(self.scheduler)
        before, known, scheduler = resident(self.scheduler), descendants(), self._scheduler_cpu()
        begin = time.perf_counter()
        deliver()
        wall, scheduler = time.perf_counter() - begin, self._scheduler_cpu() - scheduler
        spent, memory = descendants(), peak(self.scheduler) - before
        cpu = sum(spent[pid].cpu - known[pid].cpu for pid in self.workers)
        return Seen(wall, scheduler, scheduler + cpu, memory)

    def _scheduler_cpu(self) -> float:
        """Ask it: /proc counts in steps of 10 ms."""
        return float(self.client.run_on_scheduler(time.process_time))


@contextmanager
def cluster(workers: int, processes: int, place: Path) -> Iterator[Cluster]:
    """Start a scheduler and ``workers`` workers in ``processes`` processes; end them all with the block."""
    from distributed import Client

    place.mkdir()
    started: list[subprocess.Popen[str]] = []
    try:
        started.append(_start(place, "scheduler", "-", 0))
        address = _told(started[0], place / "scheduler.log")
        for number in range(processes):
            count = workers // processes + (number < workers % processes)
            started.append(_start(place, f"{number}", address, count))
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=_COME)
            yield Cluster(client, [each.pid for each in started], place)
    finally:
        for each in started:
            assert each.stdin is not None
            each.stdin.close()
        for each in started:
            try:
                each.wait(_GO)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
            assert each.stdout is not None
            each.stdout.close()


def _start(place: Path, name: str, address: str, count: int) -> subprocess.Popen[str]:
    environment = clean_environment() | QUIET
    environment |= {
        "TMPDIR": str(place),
        "DASK_TEMPORARY_DIRECTORY": str(place),
        "DASK_DASKBRIDGE__CACHE_DIRECTORY": str(place / name),
    }
    command = [sys.executable, str(SCRIPT), address, str(count), name]
    with (place / f"{name}.log").open("w") as log:
        return subprocess.Popen(  # noqa: S603 -- a program of these benchmarks
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _told(scheduler: subprocess.Popen[str], log: Path) -> str:
    """Return the address that the scheduler tells once it serves."""
    assert scheduler.stdout is not None
    if select.select([scheduler.stdout], [], [], _COME)[0] and (address := scheduler.stdout.readline()):
        return address.strip()
    raise SystemExit(f"the scheduler has not started:\n{log.read_text()}")


def _use_cache(place: str, hosts: int, dask_worker: object = None) -> None:
    import dask.config

    number = int(str(getattr(dask_worker, "name", "0")).partition("-")[0]) % hosts
    dask.config.set({"daskbridge.cache-directory": f"{place}/host-{number}"})


def _trim() -> None:
    """Give back what earlier deliveries have left in the heap, so that growth is this one's."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
