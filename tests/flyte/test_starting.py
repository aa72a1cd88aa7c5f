"""A cluster that comes late, in part, or not at all: waited for, told of, in the end an error to retry."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from daskbridge_flyte._backend import _cause

#: A task that uses the cluster for one moment.
SHORT = """
    import mylib
    env = environment({workers}, start_timeout={start_timeout}, min_workers={workers})

    @env.task
    async def main() -> int:
        return distributed.get_client().submit(mylib.one).result()
"""
FILES = {"mylib.py": "def one():\n    return 1\n"}


@pytest.mark.slow
def test_a_scheduler_that_is_20_s_late_is_waited_for_and_the_log_says_so(job):
    late = job(SHORT.format(workers=1, start_timeout=60), FILES)
    runner = late.start_runner()
    late.until(lambda: max([0, *map(int, re.findall(r"provision +(\d+) s", runner.log))]) >= 20, within=40)
    late.start_scheduler()
    late.start_workers()
    outcome = late.wait()
    assert outcome.outputs == [1], outcome.log
    waiting = [line for line in outcome.log.splitlines() if f"no scheduler at {late.address} yet" in line]
    assert len(waiting) >= 3


def test_the_cause_of_a_vain_attempt_is_told_though_its_last_try_was_cut_off():
    cut_off = TimeoutError()
    cut_off.__cause__ = asyncio.CancelledError()
    refused = OSError("Timed out trying to connect")
    refused.__cause__ = cut_off
    assert _cause(refused) == "Timed out trying to connect"
    cut_off.__context__ = None
    cut_off.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert _cause(refused) == "[Errno 111] Connection refused"


def test_a_scheduler_that_never_comes_is_an_error_to_retry_that_says_what_was_tried(job):
    alone = job(SHORT.format(workers=1, start_timeout=3), FILES)
    alone.start_runner()
    outcome = alone.wait(timeout=20)
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("ProvisioningError", True)
    assert "start_timeout=3 s" in outcome.error.message
    assert f"no scheduler at {alone.address} yet" in outcome.error.message
    assert "that can't be pulled" in outcome.error.message


def test_a_scheduler_that_is_lost_while_workers_are_awaited_is_an_error_to_retry_at_once(job):
    half = job(SHORT.format(workers=2, start_timeout=100), FILES)
    scheduler = half.start_scheduler()
    worker = half.start_worker()
    half.until(lambda: "Registered to" in worker.log)
    runner = half.start_runner(
        env={"DASK_DASKBRIDGE__LOST_TIMEOUT": "1", "DASK_DASKBRIDGE__STEP_INTERVAL": "0.1"}
    )
    half.until(lambda: "workers ready: 1, needed: 2" in runner.log)
    scheduler.end(grace=0)
    outcome = half.wait(timeout=20)
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("ProvisioningError", True)
    assert f"the scheduler at {half.address} was lost before the body began" in outcome.error.message


@pytest.mark.slow
def test_too_few_workers_are_an_error_to_retry_that_says_who_arrived_and_who_is_missing(job):
    half = job(SHORT.format(workers=2, start_timeout=6), FILES)
    half.start_scheduler()
    worker = half.start_worker()
    half.until(lambda: "Registered to" in worker.log)
    half.start_runner()
    outcome = half.wait(timeout=30)
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("ProvisioningError", True)
    assert "workers that are ready: worker-0 (tcp://127.0.0.1:" in outcome.error.message
    assert "missing: 1" in outcome.error.message
    assert "that can't be pulled" in outcome.error.message


#: A task that works until it is told to stop, and says on which worker which file was imported. What it
#: runs travels by value: a worker without the code would run it, too.
LONG = """
    import json, pathlib
    env = environment(1)

    @env.task
    async def main(signals: str) -> str:
        client, signals, found = distributed.get_client(), pathlib.Path(signals), {}

        def where(_):
            time.sleep(0.01)
            try:
                from mylib import here
            except ImportError:
                here = str
            return distributed.get_worker().name, here()

        while not signals.joinpath("stop").exists():
            found |= dict(client.gather(client.map(where, range(8), pure=False)))
            for name in found:
                signals.joinpath(name).touch()
        return json.dumps(found)
"""


def test_a_late_worker_gets_the_code_or_runs_no_task(job, tmp_path):
    long = job(LONG, {"mylib.py": "def here():\n    return __file__\n"}, signals=str(tmp_path))
    long.start_runner()
    long.start_scheduler()
    long.start_workers()
    long.until((tmp_path / "worker-0").exists)
    late = long.start_worker()
    # a directory that not even root can make
    broken = long.start_worker(env={"DASK_DASKBRIDGE__CACHE_DIRECTORY": "/proc/none"})
    long.until((tmp_path / late.name).exists)
    long.until(lambda: broken.process.poll() is not None)
    (tmp_path / "stop").touch()
    outcome = long.wait()
    assert outcome.outputs, outcome.error
    files = json.loads(outcome.outputs[0])
    assert sorted(files) == ["worker-0", late.name]
    assert str(late.directory) in files[late.name]
    assert f"worker {broken.name} could not get the code: " in outcome.log
    assert "/proc/none" in outcome.log
