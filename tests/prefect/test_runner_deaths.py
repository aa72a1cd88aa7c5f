"""Workers, clusters and flows that come to harm: what the API says afterwards, and what has run how often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from daskbridge_prefect import dask_options
from prefect import flow

from daskbridge.errors import ClusterLost

from .runners import FILE, run, states, tasks
from .server import until

#: Seconds in which everything must have come to its end.
BOUND = 60


def test_a_task_whose_worker_dies_ends_in_crashed(api, alone, tmp_path):
    def main():
        died = tasks.dies.submit(str(tmp_path))
        after = tasks.increment.submit(died)
        died.wait()
        after.wait()
        return died.state.name, after.state.name

    state = run(alone, main)
    assert state.result() == ("Crashed", "NotReady")
    assert tasks.marks(tmp_path, "dies") == 1
    found = until(
        lambda: api.ask(
            "task_runs/filter", flow_runs={"id": {"any_": [str(state.state_details.flow_run_id)]}}
        ),
        lambda runs: len(runs) == 2,
    )
    assert {each["name"].rpartition("-")[0]: each["state_type"] for each in found} == {
        "dies": "CRASHED",
        "increment": "PENDING",
    }


def test_the_result_of_a_task_that_crashed_raises(alone, tmp_path):
    def main():
        return tasks.dies.submit(str(tmp_path)).result()

    state = run(alone, main)
    assert state.is_failed()
    assert "the worker that ran it died" in state.message


def test_retries_are_honoured_when_the_worker_dies(api, alone, tmp_path):
    def main():
        lived = tasks.dies_twice.submit(str(tmp_path))
        unwanted = tasks.dies_unwanted.submit(str(tmp_path))
        after = tasks.marked.submit(str(tmp_path), "after", wait_for=[lived])
        unwanted.wait()
        return lived.result(), after.result(), unwanted.state.name

    state = run(alone, main)
    assert state.result() == ("lived", "after", "Crashed")
    ended = api.task_runs(state.state_details.flow_run_id, 3)
    runs = {each["name"].rpartition("-")[0]: each for each in ended}
    assert runs["dies_twice"]["run_count"] == 3
    assert (tasks.marks(tmp_path, "twice"), tasks.marks(tmp_path, "unwanted")) == (3, 1)


def test_dasks_own_retries_come_before_those_of_prefect(alone, tmp_path):
    stubborn = dask_options(retries=2)(tasks.dies_twice.with_options(retries=0))

    def main():
        return stubborn.submit(str(tmp_path)).result()

    assert run(alone, main).result() == "lived"


def test_completed_tasks_are_not_run_again_when_a_worker_dies(api, alone, tmp_path):
    def main():
        small = [tasks.marked.submit(str(tmp_path), "small") for _ in range(4)]
        big, kept = tasks.large.submit(str(tmp_path)), tasks.stored.submit(str(tmp_path))
        pids = {tasks.first.submit(big).result(), tasks.first.submit(kept).result()}
        [future.wait() for future in small]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        again = tasks.first.submit(kept)
        lost = tasks.first.submit(big)
        lost.wait()
        return again.result() in pids, [future.result() for future in small], lost.state.name

    state = run(alone, main)
    assert state.result() == (True, ["small"] * 4, "Crashed")
    assert [tasks.marks(tmp_path, name) for name in ("small", "large", "stored")] == [4, 1, 1]
    assert states(api, state, 10)["large"] == ["COMPLETED"]


def test_a_cluster_that_ends_early_fails_the_flow(api, alone, tmp_path):
    def main():
        holding = tasks.held.map([str(tmp_path)] * 3)
        tasks.begun.fn(str(tmp_path))
        from prefect.context import FlowRunContext

        runner = FlowRunContext.get().task_runner
        os.kill(runner.client.run_on_scheduler(os.getpid), signal.SIGKILL)
        holding[0].wait()

    ended = []
    noting = flow(main, task_runner=alone, on_failure=[lambda _, run, state: ended.append((run.id, state))])
    with pytest.raises(ClusterLost):
        noting()
    [(flow_run, state)] = ended
    assert state.is_failed()
    assert "ClusterLost" in state.message
    assert {each["state_type"] for each in api.task_runs(flow_run)} == {"CRASHED"}


PROGRAM = """
import importlib.util, sys, time
from pathlib import Path
from prefect import flow
from daskbridge_prefect import Dask, DaskTaskRunner, WorkerGroup
import runner_tasks as tasks

@flow(task_runner=DaskTaskRunner(cluster=Dask(workers=WorkerGroup(2, threads=1), min_workers=2)))
def main(directory, how):
    from prefect.runtime import flow_run
    tasks.increment.submit(1).result()
    holding = tasks.held.map([directory] * 3)
    tasks.begun.fn(directory)
    print("RUNS", flow_run.id, flush=True)
    if how == "fails":
        raise ValueError("mine")
    if how == "returns":
        return 1
    holding[0].wait()

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("how", "flow_is"),
    [("fails", "FAILED"), ("returns", "COMPLETED"), ("SIGINT", "CRASHED"), ("SIGTERM", "CRASHED")],
)
def test_however_a_flow_ends_no_task_stays_running_and_no_process(api, tmp_path, how, flow_is):
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "runner_tasks.py").write_text(FILE.read_text())
    (tmp_path / "marks").mkdir()
    command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "marks"), how]
    with (tmp_path / "log").open("w") as log:
        program = subprocess.Popen(
            command, env=os.environ | api.environ, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        line = next((line for line in program.stdout if line.startswith("RUNS")), None)
        assert line, (tmp_path / "log").read_text()
        below = psutil.Process(program.pid).children(recursive=True)
        if how.startswith("SIG"):
            program.send_signal(getattr(signal, how))
        program.wait(BOUND)
    finally:
        program.kill()
        program.stdout.close()
    assert not psutil.wait_procs(below, BOUND)[1]
    flow_run = line.split()[1]
    ended = api.task_runs(flow_run, 2)  # what did not begin it does not know
    found = {}
    for each in ended:
        found.setdefault(each["name"].rpartition("-")[0], set()).add(each["state_type"])
    assert found == {"increment": {"COMPLETED"}, "held": {"CRASHED"}}
    [flow_state] = api.ask("flow_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
    assert flow_state["state_type"] == flow_is
