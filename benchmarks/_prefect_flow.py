"""Run trivial tasks under one runner and print what they cost; a program of prefect_runner.py.

    python _prefect_flow.py RUNNER TASKS ROUNDS WORKERS SERVER_PID

Prints one line of JSON. CPU seconds are those of this process, of all below it, and of the server less what
it takes when nothing happens. They end once the API knows the final state of every task run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

#: Seconds in which the API must know all states.
LATE = 300


@dataclass
class Figures:
    """Hold what was measured."""

    client: float = 0.0
    nodes: float = 0.0
    server: float = 0.0
    submit: float = 0.0
    wall: float = 0.0
    completed: int = 0
    #: MiB of the flow's process and of the scheduler after each round.
    memory: list[tuple[float, float]] = field(default_factory=list)


def add_one(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def rest(seconds: float) -> None:
    """Keep a worker busy, so that the others get some, too."""
    time.sleep(seconds)


def cpu(process: psutil.Process) -> float:
    """Return CPU seconds of a process and of its children that ended."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def below(pid: int) -> float:
    """Return CPU seconds of all that live below a process."""
    found = 0.0
    for process in psutil.Process(pid).children(recursive=True):
        try:
            found += cpu(process)
        except psutil.NoSuchProcess:
            continue
    return found


def look(server: int) -> tuple[float, float, float]:
    """Return CPU seconds so far: of this process, of those below it, of the server."""
    own = psutil.Process().cpu_times()
    return own.user + own.system, below(os.getpid()), cpu(psutil.Process(server)) + below(server)


def resident() -> float:
    """Return MiB that this process has in memory."""
    return psutil.Process().memory_info().rss / 2**20


def made(which: str, workers: int) -> Any:  # noqa: ANN401 -- a task runner
    """Return a runner with so many threads in all."""
    if which == "daskbridge":
        from daskbridge_prefect import Dask, DaskTaskRunner, WorkerGroup

        return DaskTaskRunner(cluster=Dask(workers=WorkerGroup(workers, threads=1), min_workers=workers))
    if which == "prefect-dask":
        from prefect_dask import DaskTaskRunner as Peer

        size = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        return Peer(cluster_kwargs=size)
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=workers)


def under_prefect(which: str, tasks: int, rounds: int, workers: int, server: int) -> Figures:
    """Run a flow whose tasks are measured after each worker has run some."""
    from prefect import flow, task
    from prefect.context import FlowRunContext
    from prefect.futures import wait
    from prefect.runtime import flow_run

    increment = task(add_one, name="increment")
    warm = task(rest, name="warm")
    figures = Figures()

    @flow(task_runner=made(which, workers))
    def main() -> None:
        wait(warm.map([0.5] * (4 * workers)))
        completed(flow_run.id, 4 * workers)
        idle = look(server)[2]
        time.sleep(4)
        idle = (look(server)[2] - idle) / 4
        runner = FlowRunContext.get().task_runner
        before, begin = look(server), time.monotonic()
        for _ in range(rounds):
            thread = time.thread_time()
            futures = [increment.submit(number) for number in range(tasks)]
            figures.submit += time.thread_time() - thread
            assert [future.result() for future in futures] == list(range(1, tasks + 1))
            del futures
            if rounds > 1:
                client = getattr(runner, "client", None)
                figures.memory.append((resident(), client.run_on_scheduler(resident) if client else 0.0))
        figures.wall = time.monotonic() - begin
        figures.completed = completed(flow_run.id, 4 * workers + tasks * rounds) - 4 * workers
        spent = [now - then for now, then in zip(look(server), before, strict=True)]
        figures.client, figures.nodes = spent[:2]
        figures.server = spent[2] - idle * (time.monotonic() - begin)

    main()
    return figures


def completed(flow_run: str, wanted: int) -> int:
    """Return how many task runs the API knows as completed, once it is as many as are wanted."""
    import httpx

    url = os.environ["PREFECT_API_URL"] + "/task_runs/count"
    of = {
        "flow_runs": {"id": {"any_": [str(flow_run)]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    end = time.monotonic() + LATE
    while (found := httpx.post(url, json=of, timeout=60).json()) < wanted and time.monotonic() < end:
        time.sleep(0.5)
    return int(found)


def under_dask(tasks: int, workers: int, server: int) -> Figures:
    """Run the same by Dask alone."""
    from distributed import Client, LocalCluster

    size = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**size) as cluster, Client(cluster) as client:
        client.gather(client.map(abs, range(8)))
        before, begin, thread = look(server), time.monotonic(), time.thread_time()
        futures = client.map(add_one, range(tasks))
        submit = time.thread_time() - thread
        assert client.gather(futures) == list(range(1, tasks + 1))
        after = look(server)
    wall = time.monotonic() - begin
    return Figures(after[0] - before[0], after[1] - before[1], 0.0, submit, wall, tasks)


if __name__ == "__main__":
    name, (number, repeated, size, pid) = sys.argv[1], map(int, sys.argv[2:6])
    found = (
        under_dask(number, size, pid)
        if name == "client.map"
        else under_prefect(name, number, repeated, size, pid)
    )
    print(json.dumps(vars(found)), flush=True)
