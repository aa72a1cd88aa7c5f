"""What tasks under a DaskTaskRunner are to a flow: futures, states, logs, what they cost nobody."""

from __future__ import annotations

import asyncio

import pytest
from prefect import allow_failure, flow, tags, task, unmapped
from prefect.cache_policies import INPUTS
from prefect.exceptions import MissingResult
from prefect.futures import as_completed, wait
from prefect.task_runners import ThreadPoolTaskRunner

from .runners import run, states, tasks
from .server import until


def test_futures_are_arguments_at_any_depth(runner):
    def main():
        one = tasks.increment.submit(0)
        two = tasks.add.submit(one, y=one)
        three = tasks.total.submit({"all": [one, two, [0][0]]})
        return [future.result() for future in (one, two, three)]

    assert run(runner, main).result() == [1, 2, 3]


def test_map_runs_a_task_for_each_item(runner):
    def main():
        ones = tasks.increment.map(range(4))
        return tasks.add.map(ones, y=unmapped(ones[3])).result(), ones.result()

    assert run(runner, main).result() == ([5, 6, 7, 8], [1, 2, 3, 4])


def test_async_tasks_and_async_flows_work_alike(runner):
    async def main():
        one = tasks.aincrement.submit(0)
        return [one.result(), tasks.aincrement.submit(one).result(), tasks.increment.submit(one).result()]

    assert asyncio.run(flow(main, task_runner=runner)()) == [1, 2, 2]


def test_wait_for_keeps_the_order(runner, tmp_path):
    def main():
        before = tasks.marked.submit(str(tmp_path), "before")
        return tasks.begun.submit(str(tmp_path), "before", wait_for=[before]).wait()

    assert run(runner, main).is_completed()


def test_a_task_submits_tasks_more_than_there_are_threads(api, runner):
    def main():
        return (
            tasks.parent.map([3, 3, 3]).result(),
            tasks.aparent.submit(2).result(),
            tasks.inline.submit(1).result(),
        )

    state = run(runner, main)
    assert state.result() == ([6, 6, 6], 3, 2)
    assert states(api, state, 17) == {
        "parent": ["COMPLETED"] * 3,
        "aparent": ["COMPLETED"],
        "inline": ["COMPLETED"],
        "increment": ["COMPLETED"] * 12,
    }


def test_a_failure_is_raised_returned_or_allowed_as_asked(api, runner):
    def main():
        failed = tasks.fail.submit()
        after = tasks.increment.submit(failed)
        allowed = tasks.kind.submit(allow_failure(failed))
        with pytest.raises(ValueError, match="mine"):
            failed.result()
        error = failed.result(raise_on_failure=False)
        after.wait()
        return type(error), failed.state.name, after.state.name, allowed.result()

    state = run(runner, main)
    assert state.result() == (ValueError, "Failed", "NotReady", "ValueError")


def test_waiting_has_a_bound(runner, tmp_path):
    def main():
        future = tasks.begun.submit(str(tmp_path), "later")
        future.wait(0.2)
        assert not future.state.is_final()
        with pytest.raises(TimeoutError, match="did not complete within 0.1 seconds"):
            future.result(timeout=0.1)
        tasks.mark(tmp_path, "later")
        future.wait()
        return future.state.is_completed()

    assert run(runner, main).result()


def test_prefects_own_functions_take_the_futures(runner):
    def main():
        futures = tasks.increment.map(range(5))
        found = sorted(future.result() for future in as_completed(futures))
        return found, len(wait(tasks.increment.map(range(3)), timeout=60).done)

    assert run(runner, main).result() == ([1, 2, 3, 4, 5], 3)


def test_a_task_knows_its_run_and_its_logs_are_in_the_api_once(api, runner):
    def main():
        return tasks.logged.submit("hello").result()

    state = run(runner, main)
    name, _, run_id = state.result()
    assert name.startswith("logged-")
    lines = [line["message"] for line in api.logs(said="Finished", task_run_id=run_id)]
    assert lines == ["it says hello", "Finished in state Completed()"]


def test_tags_of_the_context_are_on_the_run(api, runner):
    def main():
        with tags("outer"):
            tasks.increment.with_options(tags=["own"]).submit(1).wait()

    state = run(runner, main)
    [found] = api.task_runs(state.state_details.flow_run_id)
    assert sorted(found["tags"]) == ["outer", "own"]


def test_retries_after_an_error_are_prefects(api, runner, tmp_path):
    @task(retries=2)
    def third_time(directory):
        if tasks.mark(directory, "try") < 3:
            raise ValueError("not yet")

    def main():
        third_time.submit(str(tmp_path)).result()

    [found] = api.task_runs(run(runner, main).state_details.flow_run_id)
    assert (found["state_type"], found["run_count"]) == ("COMPLETED", 3)


def test_a_cached_result_runs_nothing(runner, tmp_path):
    cached = tasks.marked.with_options(cache_policy=INPUTS, persist_result=True)

    def main():
        return [cached.submit(str(tmp_path), "cached").result() for _ in range(2)]

    assert run(runner, main).result() == ["cached", "cached"]
    assert tasks.marks(tmp_path, "cached") == 1


def test_generator_tasks_give_what_prefects_own_runner_gives(runner):
    def main():
        return list(tasks.numbers.submit(3).result())

    assert run(ThreadPoolTaskRunner(), main).result() == [0, 1, 2]
    assert run(runner, main).result() == [0, 1, 2]


def test_a_large_result_stays_on_the_cluster_until_it_is_asked_for(runner, tmp_path):
    def main():
        future = tasks.large.submit(str(tmp_path))
        used = tasks.first.submit(future).result()
        stays = future.dask is not None
        return stays, used == future.result()[0], future.dask is None

    assert run(runner, main).result() == (True, True, True)


def test_what_has_not_begun_can_be_cancelled(runner, tmp_path):
    def main():
        holding = [tasks.begun.submit(str(tmp_path), "go") for _ in range(2)]
        waiting = tasks.marked.submit(str(tmp_path), "never")
        cancelled = waiting.cancel()
        tasks.mark(tmp_path, "go")
        wait(holding)
        return cancelled, waiting.state.is_cancelled(), holding[0].cancel()

    assert run(runner, main).result() == (True, True, False)
    assert tasks.marks(tmp_path, "never") == 0


def test_nothing_is_kept_of_tasks_whose_state_was_fetched(runner):
    def main():
        from prefect.context import FlowRunContext

        mine = FlowRunContext.get().task_runner
        for _ in range(3):
            wait(tasks.increment.map(range(50)))

        def kept(dask_scheduler, topic):
            plugin = dask_scheduler.plugins[topic]
            return list(dask_scheduler.tasks), plugin.begun, len(plugin.blobs)

        look = lambda: mine.client.run_on_scheduler(kept, topic=mine._session.topic)  # noqa: E731 -- short
        found = until(look, lambda seen: not any(seen[:2]))
        return found, mine._session.runs._live, mine._session.runs._report.unfinished

    assert run(runner, main).result() == (([], set(), 1), {}, [])


def test_prefects_own_way_works_where_ours_does_not(api, runner, monkeypatch):
    monkeypatch.setenv("DASKBRIDGE_PREFECT_PLAIN", "1")

    def main():
        return (
            tasks.logged.submit("hello").result()[0],
            tasks.parent.submit(2).result(),
            tasks.aincrement.submit(1).result(),
        )

    state = run(runner, main)
    assert state.result()[1:] == (3, 2)
    assert states(api, state, 5)["increment"] == ["COMPLETED"] * 2


def test_a_result_that_was_lost_is_an_error_and_not_none(alone, tmp_path):
    def main():
        import os
        import signal

        future = tasks.large.submit(str(tmp_path))
        os.kill(tasks.first.submit(future).result(), signal.SIGKILL)
        with pytest.raises(MissingResult):
            until(lambda: future.result() and None, lambda _: False, 10)
        return future.state.is_completed()

    assert run(alone, main).result()


def test_what_can_not_be_unpickled_on_a_worker_crashes_and_so_does_what_depends_on_it(api, runner):
    class NotThere:
        def __reduce__(self):
            return __import__, ("a_module_that_is_nowhere",)

    def main():
        strange = tasks.kind.submit(NotThere())
        after = tasks.kind.submit(strange)
        strange.wait()
        after.wait()
        with pytest.raises(ModuleNotFoundError, match="a_module_that_is_nowhere"):
            strange.result()
        return strange.state.name, after.state.name

    state = run(runner, main)
    assert state.result() == ("Crashed", "NotReady")
