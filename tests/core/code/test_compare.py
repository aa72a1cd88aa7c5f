"""Scheduler, workers and drivers in one process: who is told what, and what stays behind."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from distributed import Client, Scheduler, Worker

from daskbridge.code import InstalledCode, compare_code, compared_nodes, forget_comparison
from daskbridge.code._compare import _mismatch
from daskbridge.errors import CodeNotDelivered, EnvironmentMismatch

CODE = InstalledCode(["json"])


@contextlib.asynccontextmanager
async def cluster(clients=1):
    async with contextlib.AsyncExitStack() as stack:
        options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        scheduler = await stack.enter_async_context(Scheduler(**options))
        made = [
            await stack.enter_async_context(
                Client(scheduler.address, asynchronous=True, set_as_default=False)
            )
            for _ in range(clients)
        ]
        yield scheduler, *made


def worker(scheduler, name):
    return Worker(scheduler.address, name=name, nthreads=1, host="127.0.0.1", dashboard=False)


def bounded(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 60))


def registered(scheduler):
    names = {*scheduler.plugins, *scheduler.worker_plugins, *scheduler.handlers}
    return {name for name in names if "daskbridge" in name}


async def refuse(**_):
    raise RuntimeError("no report today")


def test_several_drivers_compare_and_stop_without_regard_to_each_other():
    async def scenario():
        async with cluster(clients=2) as (scheduler, first, second), worker(scheduler, "w0") as w0:
            for driver in (first, second):
                assert (await compare_code(driver, CODE, exclusive=False)).endswith(
                    "modules equal on 2 nodes"
                )
            await forget_comparison(first)
            async with worker(scheduler, "late") as late:
                assert await compared_nodes(second) == {w0.address, late.address}
            assert await compared_nodes(second) == {w0.address}
            with pytest.raises(CodeNotDelivered, match="compares no code"):
                await compared_nodes(first)
            await forget_comparison(second)
            assert registered(scheduler) == set()

    bounded(scenario)


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "shared"])
def test_a_worker_that_can_not_report_is_named_and_closed_where_the_cluster_is_ours(exclusive):
    async def scenario():
        async with (
            cluster() as (scheduler, driver),
            worker(scheduler, "w0"),
            worker(scheduler, "mute") as mute,
        ):
            setattr(mute.scheduler, f"daskbridge-installed-{driver.id}-report", refuse)
            with pytest.raises(
                CodeNotDelivered, match=r"not every node says .*\n.*no report today"
            ) as caught:
                await compare_code(driver, CODE, exclusive=exclusive)
            assert caught.value.retryable
            if exclusive:
                await mute.finished()
            assert sorted(each.name for each in scheduler.workers.values()) == ["mute", "w0"][exclusive:]
            assert registered(scheduler) == set()

    bounded(scenario)


def test_a_worker_that_does_not_answer_in_time_is_named():
    async def scenario():
        async with cluster() as (scheduler, driver), worker(scheduler, "slow") as slow:
            never = asyncio.Event()

            async def hang(**_):
                await never.wait()

            setattr(slow.scheduler, f"daskbridge-installed-{driver.id}-report", hang)
            with pytest.raises(
                CodeNotDelivered, match=f"not done within 0.5 s\n  {slow.address}: had not told yet"
            ):
                await compare_code(driver, CODE, exclusive=False, timeout=0.5)
            never.set()

    bounded(scenario)


def test_the_table_shows_what_each_side_has_and_stays_readable():
    def told(**differs):
        nodes = [differs["scheduler"], *differs["workers"].values()]
        return differs | {"expected": {name: "a" * 64 for node in nodes for name in node}, "refused": {}}

    error = _mismatch(told(scheduler={}, workers={"tcp://w:1": {"wf": "b" * 64}, "tcp://w:2": {}}))
    assert isinstance(error, EnvironmentMismatch)
    assert str(error).splitlines()[1:] == [
        "module | driver       | scheduler    | workers (2)",
        "wf     | aaaaaaaaaaaa | aaaaaaaaaaaa | aaaaaaaaaaaa (1), bbbbbbbbbbbb (1)",
    ]
    many = {f"m{number:02}": "missing" for number in range(25)}
    lines = str(_mismatch(told(scheduler=many, workers={}))).splitlines()
    assert (len(lines), lines[-1]) == (23, "and 5 more")
    assert _mismatch(told(scheduler={}, workers={"tcp://w:1": {}})) is None
