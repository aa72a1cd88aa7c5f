"""Measure a Flyte task in the cluster, with daskbridge-flyte and flyteplugins-dask, on the same processes.

Flyte's own entry point `a0` runs the same task against real scheduler and worker processes, as the tests of
the adapter do it. What is measured, medians of interleaved runs:

* `first result`: seconds from the start of `a0` to the first result of a function of the user's module, with
  workers that are up and registered before, and with all started at once (`late`);
* `code`: seconds that the registration of the plugins with the code takes of that (with late workers it
  waits for them, too);
* `blocked`: the longest time for which the task's event loop did not run, until the body began, and
  `blocked at end`, from the end of the body to the end of the task;
* `cpu`: CPU seconds of `a0`, user and system.

The floor is the same task with a plugin that does nothing: a function that travels by value, no code, no
check.

    python benchmarks/flyte_in_cluster.py [--rounds 3] [--workers 2 4 8]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from textwrap import dedent

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.flyte.backend import DaskJob, submit  # noqa: E402 -- found through the line above

TIMES, CODE, BLOCKED = 2.0, 0.3, 0.05
ADAPTERS = {"floor": "floor", "daskbridge": "daskbridge_flyte", "peer": "flyteplugins.dask"}
WORKFLOW = """
import json, os, time
import flyte
from {adapter} import Dask, WorkerGroup
import probe
import sample

probe.watch()
env = flyte.TaskEnvironment(
    "bench",
    image="registry.invalid/image:1",
    plugin_config=Dask(workers=WorkerGroup({workers})),
    resources=flyte.Resources(cpu="1", memory="1Gi"),
)

@env.task
async def first(n: int) -> str:
    probe.ticks.append(time.perf_counter())
    probe.tell("blocked")
    from distributed import Client
    with Client() as client:
        assert client.submit({function}, n).result() == 2 * n
        done = time.time()
    cpu = sum(os.times()[:2])
    probe.ticks[:] = [time.perf_counter()]
    return json.dumps(dict(done=done, code=sum(probe.seconds), cpu=cpu))
"""
PROBE = """
import asyncio, atexit, json, time

seconds, ticks = [], []

def watch():
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # while it is deployed
        return
    async def tick():
        try:
            while True:
                ticks.append(time.perf_counter())
                await asyncio.sleep(0.002)
        finally:  # the loop ends
            ticks.append(time.perf_counter())
    global task
    task = loop.create_task(tick())
    atexit.register(tell, "blocked at end")

def tell(name):
    gap = max(after - before for before, after in zip(ticks, ticks[1:]))
    print("PROBE", json.dumps({name: gap}), flush=True)
"""
OF_ADAPTER = {
    "floor": "",
    "daskbridge": """
        from daskbridge.runtime import _connection
        sync = _connection.Connection.sync
        async def timed_sync(self, bundle):
            begin = time.perf_counter()
            try:
                return await sync(self, bundle)
            finally:
                seconds.append(time.perf_counter() - begin)
        _connection.Connection.sync = timed_sync
    """,
    "peer": """
        from distributed import Client
        register = Client.register_plugin
        def timed(self, plugin, *args, **kwargs):
            begin = time.perf_counter()
            try:
                return register(self, plugin, *args, **kwargs)
            finally:
                seconds.append(time.perf_counter() - begin)
        Client.register_plugin = timed
    """,
}
FLOOR = """
from dataclasses import dataclass, field
from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry

@dataclass
class WorkerGroup:
    number_of_workers: int

@dataclass
class Dask:
    workers: WorkerGroup

@dataclass(kw_only=True)
class DaskTask(AsyncFunctionTaskTemplate):
    plugin_config: Dask
    task_type: str = "dask"

    def custom_config(self, sctx):
        return {"scheduler": {}, "workers": {"numberOfWorkers": self.plugin_config.workers.number_of_workers}}

TaskPluginRegistry.register(Dask, DaskTask)
"""
SAMPLE = "def double(n):\n    return 2 * n\n"


@dataclass(frozen=True)
class Case:
    """One way to run: with whose adapter, on how many workers, and whether they are there before."""

    adapter: str
    workers: int
    late: bool


def run(case: Case, directory: Path) -> dict[str, float]:
    """Run one job and return what it measured."""
    project = directory / "project"
    project.mkdir()
    function = "lambda n: 2 * n" if case.adapter == "floor" else "sample.double"
    text = WORKFLOW.format(adapter=ADAPTERS[case.adapter], workers=case.workers, function=function)
    (project / "floor.py").write_text(FLOOR)
    (project / "workflow.py").write_text(text)
    (project / "sample.py").write_text(SAMPLE)
    (project / "probe.py").write_text(PROBE + dedent(OF_ADAPTER[case.adapter]))
    job = DaskJob(submit(project, "workflow:first", "tgz", inputs={"n": 21}))
    try:
        if not case.late:
            scheduler = job.start_scheduler()
            workers = job.start_workers()
            job.until(lambda: scheduler.log.count("Register worker") == len(workers), within=120)
        runner = job.start_runner()
        begin = psutil.Process(runner.process.pid).create_time()
        if case.late:
            job.start_scheduler()
            job.start_workers()
        outcome = job.wait(timeout=180)
    finally:
        job.end()
    assert outcome.outputs, f"{outcome.error}\n{outcome.log}"
    told: dict[str, float] = json.loads(outcome.outputs[0])
    for line in outcome.log.splitlines():
        if line.startswith("PROBE "):
            told |= json.loads(line.removeprefix("PROBE "))
    return {"first result": told.pop("done") - begin, **told}


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8])
    given = parser.parse_args()
    cases = [
        Case(adapter, workers, late)
        for workers in given.workers
        for late in (False, True)
        for adapter in ADAPTERS
    ]
    runs: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    for _ in range(given.rounds):
        for case in cases:
            with TemporaryDirectory() as directory:
                runs[case].append(run(case, Path(directory)))
    names = list(runs[cases[0]][0])
    print(f"seconds, median of {given.rounds} interleaved runs")
    print(f"{'adapter':<12}{'workers':<14}" + "".join(f"{name:>16}" for name in names))
    medians = {case: {name: median(each[name] for each in runs[case]) for name in names} for case in cases}
    for case in cases:
        label = f"{case.workers} {'late' if case.late else 'up'}"
        print(f"{case.adapter:<12}{label:<14}" + "".join(f"{medians[case][name]:>16.2f}" for name in names))
    kept = True
    for workers in given.workers:
        for late in (False, True):
            floor, ours, peer = (medians[Case(adapter, workers, late)] for adapter in ADAPTERS)
            ratio = peer["first result"] / ours["first result"]
            added = [each["first result"] - floor["first result"] for each in (ours, peer)]
            blocked = max(ours["blocked"], ours["blocked at end"])
            kept &= ratio >= TIMES and (late or ours["code"] <= CODE) and blocked <= BLOCKED
            print(
                f"{workers} {'late' if late else 'up':<5} {ratio:.2f} times as fast as the peer;"
                f" above the floor: {added[0]:.2f} s, the peer {added[1]:.2f} s"
            )
    aims = f"{TIMES:g} times as fast, code <= {CODE:g}, blocked <= {BLOCKED:g}"
    print(f"{aims} are aimed at: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
