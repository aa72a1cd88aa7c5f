"""The gate before a scheduler: closed, it lets no graph in; open, none that expects other code."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from distributed import Scheduler, Worker

from daskbridge.errors import StaleCode
from daskbridge.node.gate import Gate
from daskbridge.runtime._client import RunClient

PLUGIN = "the-code"


@asynccontextmanager
async def cluster(behind=None):
    options = {"host": "127.0.0.1", "dashboard": False}
    async with Scheduler(port=0, dashboard_address="127.0.0.1:0", **options) as scheduler:
        if behind is not None:
            scheduler.stream_handlers["update-graph"] = behind(scheduler.stream_handlers["update-graph"])
        scheduler.plugins[PLUGIN] = SimpleNamespace(reference={"digest": "new"})
        async with (
            Worker(scheduler.address, nthreads=1, **options),
            RunClient(scheduler.address, asynchronous=True, set_as_default=False) as client,
        ):
            yield Gate.of(scheduler, PLUGIN), scheduler, client
            del scheduler.plugins[PLUGIN]


def bounded(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize(("code", "passes"), [(None, True), ("new", True), ("old", False)])
def test_a_graph_passes_unless_it_expects_other_code(code, passes):
    async def scenario():
        async with cluster() as (_, scheduler, client):
            client.code = code
            future = client.submit(pow, 2, 10)
            if passes:
                assert await future == 1024
                assert scheduler.tasks[future.key].annotations in (None, {})
            else:
                with pytest.raises(StaleCode, match="this task is of the code old, and the nodes have new"):
                    await future
                assert not scheduler.tasks

    bounded(scenario)


def test_what_a_client_expects_changes_no_key_and_no_annotation():
    async def scenario():
        async with cluster() as (_, scheduler, client):
            keys = []
            for code in (None, "new"):
                client.code = code
                future = client.submit(pow, 2, 10, priority=3, retries=2)
                await future
                keys.append((future.key, dict(scheduler.tasks[future.key].annotations)))
                del future
                while scheduler.tasks:
                    await asyncio.sleep(0)
            assert keys[0] == keys[1]

    bounded(scenario)


def test_a_refused_key_that_somebody_else_has_is_left_alone():
    async def scenario():
        async with cluster() as (_, scheduler, client):
            client.code = "new"
            mine = client.submit(pow, 2, 10)
            await mine
            async with RunClient(scheduler.address, asynchronous=True, set_as_default=False) as other:
                other.code = "old"
                theirs = other.submit(pow, 2, 10)
                assert theirs.key == mine.key
                with pytest.raises(StaleCode):
                    await theirs
                del theirs
            assert mine.status == "finished"
            assert await mine == 1024

    bounded(scenario)


def test_a_call_that_was_refused_may_come_again_although_its_future_is_kept():
    async def scenario():
        async with cluster() as (_, _, client):
            client.code = "old"
            refused = client.submit(pow, 2, 10)
            with pytest.raises(StaleCode):
                await refused
            client.expect("new")
            again = client.submit(pow, 2, 10)
            assert await again == 1024
            del refused
            assert await client.submit(pow, 2, 10) == 1024

    bounded(scenario)


def test_while_it_is_closed_graphs_wait_and_then_go_by_what_holds_then():
    async def scenario():
        async with cluster() as (gate, scheduler, client):
            client.code = "new"
            async with gate.closed(10):
                waiting = client.submit(pow, 2, 10)
                assert await client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0
                scheduler.plugins[PLUGIN].reference = {"digest": "newer"}
            with pytest.raises(StaleCode, match="the nodes have newer by now"):
                await waiting

    bounded(scenario)


def test_it_closes_when_no_graph_is_being_taken_in_any_more_or_not_at_all():
    began, go_on = asyncio.Event(), asyncio.Event()

    def slow(take_in):
        async def taking(**graph):
            began.set()
            await go_on.wait()
            await take_in(**graph)

        return taking

    async def scenario():
        async with cluster(slow) as (gate, scheduler, client):
            future = client.submit(pow, 2, 10)
            await began.wait()
            with pytest.raises(TimeoutError):
                async with gate.closed(0.01):
                    pytest.fail("a graph is under way")
            closing = asyncio.ensure_future(gate.closed(10).__aenter__())
            await asyncio.sleep(0)
            assert not closing.done()
            go_on.set()
            await closing
            assert future.key in scheduler.tasks
            gate._opened.set()
            assert await future == 1024

    bounded(scenario)


def test_it_is_taken_down_without_a_trace():
    async def scenario():
        async with cluster() as (gate, scheduler, client):
            assert Gate.of(scheduler, PLUGIN) is gate
            gate.take_down()
            assert scheduler.stream_handlers["update-graph"] == scheduler.update_graph
            assert not [name for name in vars(scheduler) if "daskbridge" in name]
            client.code = "old"
            assert await client.submit(pow, 2, 10) == 1024

    bounded(scenario)
