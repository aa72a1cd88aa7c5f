"""A task that ends before its time: the scheduler was replaced, or somebody wants the end."""

from __future__ import annotations

import signal
import time

import pytest

#: A body that nothing upsets: it goes on after every error, and records where tasks run without the code.
STUBBORN = """
    import importlib.util, pathlib
    import mylib
    env = environment(1)

    @env.task
    async def main(signals: str) -> int:
        client = distributed.get_client()

        def look(_):
            with_code = importlib.util.find_spec("mylib") is not None
            pathlib.Path(signals, "with code" if with_code else "without code").touch()

        while True:
            try:
                client.submit(look, 0, pure=False).result()
            except Exception as error:
                print(f"unimpressed by {error!r}", flush=True)
            await asyncio.sleep(0.05)
"""


def test_a_replaced_scheduler_ends_the_body_in_an_error_to_retry_and_no_task_runs_without_the_code(
    job, tmp_path
):
    replaced = job(STUBBORN, {"mylib.py": ""}, signals=str(tmp_path))
    replaced.start_runner()
    scheduler = replaced.start_scheduler()
    replaced.start_workers()
    replaced.until((tmp_path / "with code").exists)
    scheduler.end(grace=0)
    begin = time.monotonic()
    replaced.start_scheduler()
    replaced.start_worker()
    outcome = replaced.wait(timeout=40)
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("ClusterLost", True)
    assert time.monotonic() - begin < 30
    assert not (tmp_path / "without code").exists()


WAITING = """
    import pathlib
    env = environment(1)

    @env.task
    {kind} main(signals: str) -> int:
        future = distributed.get_client().submit(time.sleep, 600)
        pathlib.Path(signals, "started").touch()
        return {wait}
"""


@pytest.mark.parametrize(
    ("kind", "wait"),
    [("async def", "future.result()"), ("async def", "await asyncio.sleep(600)"), ("def", "future.result()")],
    ids=["async, blocking", "async", "sync"],
)
def test_a_waiting_body_ends_within_seconds_when_the_pod_is_told_to(job, tmp_path, kind, wait):
    cancelled = job(WAITING.format(kind=kind, wait=wait), signals=str(tmp_path))
    cancelled.start_runner()
    cancelled.start_scheduler()
    cancelled.start_workers()
    cancelled.until((tmp_path / "started").exists)
    _tell_to_end(cancelled)


def test_a_start_ends_within_seconds_when_the_pod_is_told_to(job, tmp_path):
    cancelled = job(WAITING.format(kind="async def", wait="None"), signals=str(tmp_path))
    runner = cancelled.start_runner(env={"DASK_DASKBRIDGE__STEP_INTERVAL": "0.5"})
    cancelled.until(lambda: "no scheduler at" in runner.log)
    _tell_to_end(cancelled)
    assert not (tmp_path / "started").exists()


def _tell_to_end(job):
    begin = time.monotonic()
    job.runner.terminate()
    outcome = job.wait(timeout=20)
    assert time.monotonic() - begin < 10
    assert outcome.returncode in {-signal.SIGTERM, 128 + signal.SIGTERM}, outcome.log
    assert outcome.outputs is None
