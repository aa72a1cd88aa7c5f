"""Time the way from a call to the first result of a user's module; a program of prefect_task.py.

    python _prefect_task.py daskbridge|prefect-dask ROUNDS

A flow has one task that asks two workers for a result of the module `crunching`, which lies in a project of
its own. Under prefect-dask the task runs on the cluster that its flow starts. The first flow warms the
process up; prints one line of JSON with the seconds of the others, by the wall and of CPU.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

WORKERS = 2
MODULE = "def crunched(number):\n    return number + 1\n"


def cpu() -> float:
    """Return CPU seconds of this process and of all below it, those that ended included."""
    found = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        found += times.user + times.system + times.children_user + times.children_system
    return found


def decorated(project: Path) -> object:
    """Return a flow whose task has a cluster of its own."""
    import crunching
    from daskbridge_prefect import Dask, WorkerGroup, on_dask
    from distributed import get_client
    from prefect import flow, task

    @on_dask(Dask(workers=WorkerGroup(WORKERS, threads=1)), code=project)
    @task
    def crunch() -> tuple[int, float]:
        return get_client().submit(crunching.crunched, 1).result(), time.monotonic()

    @flow
    def main() -> tuple[int, float]:
        return crunch()

    return main


def under_the_peer(project: Path) -> object:
    """Return a flow of prefect-dask with the same task; its workers find the module by the PYTHONPATH."""
    import crunching
    from prefect import flow, task
    from prefect_dask import DaskTaskRunner

    os.environ["PYTHONPATH"] = str(project)
    size = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}

    @task
    def crunch() -> tuple[int, float]:
        return crunching.crunched(1), time.monotonic()

    @flow(task_runner=DaskTaskRunner(cluster_kwargs=size))
    def main() -> tuple[int, float]:
        found: tuple[int, float] = crunch.submit().result()
        return found

    return main


if __name__ == "__main__":
    made = decorated if sys.argv[1] == "daskbridge" else under_the_peer
    with TemporaryDirectory() as directory:
        Path(directory, "crunching.py").write_text(MODULE)
        sys.path.insert(0, directory)
        main = made(Path(directory))
        wall, spent = [], []
        for _ in range(1 + int(sys.argv[2])):
            before, begin = cpu(), time.monotonic()
            value, end = main()  # type: ignore[operator]
            assert value == 2  # noqa: PLR2004 -- one more than one
            wall.append(end - begin)
            spent.append(cpu() - before)
    print(json.dumps({"wall": wall[1:], "cpu": spent[1:]}), flush=True)
