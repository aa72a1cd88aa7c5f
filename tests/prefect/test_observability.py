"""What people see of a task's cluster in Prefect: logs, links, summaries, progress."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import dask.config
import daskbridge_prefect._artifacts as shown
import distributed
from daskbridge_prefect import Dask, WorkerGroup, on_dask
from prefect import flow, task
from prefect.context import FlowRunContext, TaskRunContext

ONE = Dask(workers=WorkerGroup(1))


def ids():
    """Return the ids of the flow run and of the task run."""
    return FlowRunContext.get().flow_run.id, TaskRunContext.get().task_run.id


def speak(word: str) -> None:
    """Say something in four ways; by value, for the worker has no module of ours."""
    import logging
    import sys

    print(f"{word} printed")  # noqa: T201 -- what is tested
    print(f"{word} complained", file=sys.stderr)  # noqa: T201 -- the same
    logging.getLogger("acme").info("%s logged", word)
    logging.getLogger("acme").debug("%s whispered", word)


def by_value(function):
    """Return a function that travels without its module."""
    made = type(function)(function.__code__, {"__builtins__": __builtins__}, function.__name__)
    made.__module__ = "__main__"
    return made


SPEAK = by_value(speak)


def test_what_workers_print_and_log_is_in_the_task_runs_log(api):
    @on_dask(ONE, code=False)
    @task
    def talk(word: str):
        distributed.get_client().submit(SPEAK, word).result()
        return ids()[1]

    @flow
    def main():
        return [future.result() for future in talk.map(["one", "two"])]

    for run, word, other in zip(main(), ["one", "two"], ["two", "one"], strict=True):
        lines = api.logs(task_run_id=run, said=f"{word} logged")
        said = {line["message"]: line["level"] for line in lines}
        (name,) = {text.partition("]")[0] for text in said if word in text}
        assert said[f"{name}] {word} printed"] == logging.INFO
        assert said[f"{name}] {word} complained"] == logging.WARNING
        assert said[f"{name}] acme: {word} logged"] == logging.INFO
        assert sum(text.startswith("[") for text in said) == 3, said
        assert not any(other in text for text in said)
        assert sum("Dask cluster" in text and "dashboard: http://127.0.0.1" in text for text in said) == 1


def test_what_workers_of_a_shared_cluster_say_is_in_the_flow_runs_log(api):
    @on_dask(ONE, code=False, scope="flow")
    @task
    def talk(word: str):
        distributed.get_client().submit(SPEAK, word).result()

    @flow
    def main():
        talk("one")
        talk("two")
        return FlowRunContext.get().flow_run.id

    lines = api.logs(flow_run_id=main(), said="two printed")
    spoken = [line for line in lines if "printed" in line["message"]]
    assert [line["task_run_id"] for line in spoken] == [None, None]


def test_a_task_outside_of_a_flow_has_its_workers_log_on_the_console(api, caplog):
    @on_dask(ONE, code=False)
    @task
    def talk(word: str):
        distributed.get_client().submit(SPEAK, word).result()

    talk("alone")
    assert "acme: alone logged" in caplog.text


def test_each_attempt_shows_its_dashboard_and_its_summary(api):
    @on_dask(ONE, code=False)
    @task(retries=1)
    def again():
        if TaskRunContext.get().task_run.run_count == 1:
            raise ValueError("not | yet")
        return ids()[1], distributed.get_client().dashboard_link

    @flow
    def main():
        return again()

    run, link = main()
    found = api.artifacts(run)
    assert {*found} == {"dask-dashboard", "dask-dashboard-2", "dask-summary", "dask-summary-2"}
    assert link in found["dask-dashboard-2"]["data"]
    assert found["dask-dashboard-2"]["description"].endswith(", attempt 2")
    first, second = found["dask-summary"]["data"], found["dask-summary-2"]["data"]
    for summary in (first, second):
        rows = [line.split(" | ")[0].removeprefix("| ") for line in summary.splitlines()[4:12]]
        assert rows == ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]
        assert "workers ready: 1, needed: 1" in summary
        assert f"dask {dask.__version__}" in summary
    assert first.endswith("It ended in an error:\n\n```text\nValueError: not | yet\n```")
    assert "error" not in second


def test_a_worker_that_dies_is_told_of_and_the_retry_has_a_fresh_cluster(api):
    config = {"distributed": {"scheduler": {"allowed-failures": 0}}}

    @on_dask(Dask(workers=WorkerGroup(1), config=config), code=False)
    @task(retries=1)
    def deadly():
        client = distributed.get_client()
        if TaskRunContext.get().task_run.run_count == 1:
            client.submit(os._exit, 7).result()
        return ids()

    @flow
    def main():
        return deadly()

    flow_run, run = main()
    (told,) = api.task_runs(flow_run)
    assert (told["state_type"], told["run_count"]) == ("COMPLETED", 2)
    summary = api.artifacts(run)["dask-summary"]["data"]
    assert "workers ready: 1, needed: 1" in summary
    assert "KilledWorker" in summary
    assert "was running on these workers when they ended" in summary
    api.logs(task_run_id=run, said="was running on these workers when they ended")


def test_progress_grows_while_the_body_runs(api, monkeypatch):
    percents = []
    update = shown._update

    def noted(run, state):
        update(run, state)
        percents.append(state.percent)

    monkeypatch.setattr(shown, "_update", noted)

    @on_dask(ONE, code=False)
    @task
    def long():
        client = distributed.get_client()
        gate = distributed.Event("gate")
        first = client.map(abs, range(5))
        second = client.submit(by_value(lambda: __import__("distributed").Event("gate").wait(60)))
        distributed.wait(first)
        deadline = time.monotonic() + 60
        while not percents and time.monotonic() < deadline:
            time.sleep(0.05)
        gate.set()
        second.result()
        return ids()[1]

    @flow
    def main():
        return long()

    with dask.config.set({"daskbridge.step-interval": 0.3}):
        run = main()
    assert 0 < percents[0] < 100
    progress = api.artifacts(run)["dask-progress"]
    assert (progress["type"], progress["data"]) == ("progress", 100)


def test_artifacts_that_cannot_be_made_fail_nothing(api, monkeypatch, caplog):
    def refused(*_, **__):
        raise RuntimeError("no artifacts today")

    for name in ("create_link_artifact", "create_markdown_artifact", "create_progress_artifact"):
        monkeypatch.setattr(shown, name, refused)

    @on_dask(ONE, code=False)
    @task
    def quiet():
        return distributed.get_client().submit(abs, -1).result()

    @flow
    def main():
        return quiet()

    assert main() == 1
    assert "no artifacts today" in caplog.text


def test_an_async_task_shows_the_same(api):
    @on_dask(ONE, code=False)
    @task
    async def talk():
        await distributed.get_client().submit(SPEAK, "async")
        return ids()[1]

    @flow
    async def main():
        return await talk()

    run = asyncio.run(main())
    assert {"dask-dashboard", "dask-summary"} <= {*api.artifacts(run)}
    api.logs(task_run_id=run, said="async logged")
