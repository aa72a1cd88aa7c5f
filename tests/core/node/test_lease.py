"""A scheduler that ends itself when nobody owns it, and never because it did not look."""

from __future__ import annotations

import asyncio
import pickle
import time
from contextlib import asynccontextmanager

import pytest
from distributed import Client, Scheduler, Status, Worker

from daskbridge.node.guard import TOPIC
from daskbridge.node.lease import OwnerLease
from daskbridge.runtime._client import OwnerClient

#: Seconds for what should happen within one or two.
PATIENCE = 30
LONG = 600.0


def lease(**terms):
    return OwnerLease(
        **{"owner": "mine", "start": LONG, "grace": LONG, "stale": LONG, "lifetime": None} | terms
    )


@asynccontextmanager
async def scheduler(*plugins):
    options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    async with Scheduler(**options, plugins=plugins) as node:
        yield node


def owner(node, name="mine", heartbeat=0.1):
    return OwnerClient(
        node.address,
        name=name,
        heartbeat=heartbeat,
        asynchronous=True,
        set_as_default=False,
        timeout=PATIENCE,
    )


def bounded(scenario):
    asyncio.run(asyncio.wait_for(scenario, 60))


async def ended(node):
    """Wait for the end that the lease brings; return its reason."""
    await asyncio.wait_for(node.finished(), PATIENCE)
    [(_, event)] = node.get_events(TOPIC)
    assert event["kind"] == "lease-ended"
    return event["reason"]


@pytest.mark.parametrize("others", [False, True], ids=["nobody", "somebody else"])
def test_a_scheduler_to_which_no_owner_comes_ends_itself_and_its_workers(others):
    async def scenario():
        async with scheduler(lease(start=0.5)) as node:
            async with Worker(node.address, host="127.0.0.1", dashboard=False) as worker:
                stranger = await owner(node, name="other") if others else None
                assert await ended(node) == "no owner came within 0.5 s"
                await asyncio.wait_for(worker.finished(), PATIENCE)
                if stranger:
                    await stranger._close(fast=True)

    bounded(scenario())


def test_an_owner_that_goes_may_be_away_for_the_grace():
    async def scenario():
        async with scheduler(lease(grace=0.5)) as node:
            await asyncio.sleep(0.8)  # before the owner comes another term counts
            async with owner(node):
                pass
            async with owner(node):
                pass
            left = time.monotonic()
            assert await ended(node) == "its owner has been gone for 0.5 s"
            assert time.monotonic() - left > 0.5

    bounded(scenario())


def test_an_owner_that_registers_its_lease_and_goes_at_once_may_be_away_for_the_grace():
    async def scenario():
        async with scheduler() as node:
            async with owner(node) as client:
                await client.register_plugin(lease(grace=0.5))
            assert await ended(node) == "its owner has been gone for 0.5 s"

    bounded(scenario())


def test_an_owner_that_falls_silent_loses_the_scheduler():
    async def scenario():
        async with scheduler(lease(stale=0.5)) as node, owner(node) as client:
            client._periodic_callbacks["heartbeat"].stop()
            assert await ended(node) == "its owner has been silent for 0.5 s"

    bounded(scenario())


def test_an_owner_that_lives_is_heard_however_many_clients_there_are(monkeypatch):
    """Dask tells its clients to be heard less often, the more of them there are."""
    advice = []
    if adjust := getattr(Client, "_adjust_heartbeat_intervals", None):  # old ones give none
        monkeypatch.setattr("distributed.scheduler.heartbeat_interval", lambda _: 6.0)
        monkeypatch.setattr(
            Client, "_adjust_heartbeat_intervals", lambda *given: (advice.append(1), adjust(*given))
        )

    async def scenario():
        async with scheduler(lease(start=0.4, grace=0.4, stale=0.4)) as node, owner(node) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(node.finished(), 1.5)
            assert await client.scheduler.identity()

    bounded(scenario())
    assert bool(advice) == bool(adjust)


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "registered later"])
def test_nobody_keeps_a_scheduler_beyond_its_lifetime(late):
    async def scenario():
        terms = lease(lifetime=0.5)
        async with scheduler(*[] if late else [terms]) as node, owner(node) as client:
            if late:
                await client.register_plugin(terms)
            assert await ended(node) == "its lifetime of 0.5 s is over"

    bounded(scenario())


def test_a_scheduler_that_could_not_hear_its_owner_does_not_hold_that_against_it():
    async def scenario():
        async with scheduler(lease(stale=0.5)) as node, owner(node):
            for _ in range(2):
                await asyncio.sleep(0.3)
                time.sleep(1)  # noqa: ASYNC251 -- a loop that is blocked, as in a process that is suspended
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(node.finished(), 1)

    bounded(scenario())


def test_a_lease_that_another_replaces_ends_nothing():
    async def scenario():
        async with scheduler(lease(lifetime=0.5)) as node:
            with pytest.warns(UserWarning, match="already contains a plugin with name daskbridge-lease"):
                await node.register_scheduler_plugin(lease(), idempotent=False)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(node.finished(), 1.5)

    bounded(scenario())


def test_a_scheduler_that_ends_otherwise_takes_its_lease_along():
    async def scenario():
        async with scheduler(lease()) as node:
            await node.close()
            assert node.status == Status.closed
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert [task for task in waiting if "_watch" in repr(task)] == []

    bounded(scenario())


def test_a_lease_travels_with_its_terms():
    arrived = pickle.loads(pickle.dumps(lease(grace=3)))  # noqa: S301 -- our own

    assert type(arrived).__module__.startswith("daskbridge_node_")
    assert (arrived.owner, arrived.grace) == ("mine", 3)
