"""What the kit does not ask: activities of all kinds beat and end as Temporal wants it."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from daskbridge_temporal import Dask, heartbeat, on_dask
from distributed import get_client
from temporalio import activity
from temporalio.exceptions import CancelledError
from temporalio.testing import ActivityEnvironment


@activity.defn
@on_dask(Dask(), code=False)
def total(n: int) -> int:
    """Compute in a thread."""
    return get_client().submit(sum, range(n)).result()


@activity.defn
@on_dask(Dask(), code=False)
async def atotal(n: int) -> int:
    """Compute on an event loop, beating in between."""
    heartbeat("half way")
    return await get_client().submit(sum, range(n))


def wait(begun: threading.Event) -> None:
    """Wait for what does not come."""
    task = get_client().submit(time.sleep, 600)
    begun.set()
    task.result()


#: Temporal raises its exception in the thread of the one, and none in the other, as in a process of its own.
waits = activity.defn(on_dask(Dask(), code=False)(wait))
waits_quietly = activity.defn(no_thread_cancel_exception=True)(on_dask(Dask(), code=False)(wait))


@activity.defn
@on_dask(Dask(), code=False)
async def awaits(begun: threading.Event) -> None:
    """Wait on an event loop."""
    task = get_client().submit(time.sleep, 600)
    begun.set()
    await task


@pytest.fixture
def environment():
    """Give an environment that keeps its heartbeats, and the thread of each."""
    made = ActivityEnvironment()
    made.info = replace(made.info, heartbeat_details=["step 7"])
    made.beats = []
    made.on_heartbeat = lambda *details: made.beats.append((threading.get_ident(), *details))
    return made


def test_an_activity_beats_with_what_the_attempt_before_has_left(environment):
    """Otherwise a third attempt could not resume where the first one was."""
    assert environment.run(total, 10) == 45
    assert len(environment.beats) > 5
    assert {details for _, details in environment.beats} == {"step 7"}


def test_an_async_activity_beats_on_its_loop_and_repeats_the_details_of_its_own(environment):
    """A worker's heartbeat needs the running loop."""
    assert asyncio.run(environment.run(atotal, 10)) == 45
    assert {thread for thread, _ in environment.beats} == {threading.get_ident()}
    details = [each for _, each in environment.beats]
    half = details.index("half way")
    assert {*details[:half]} == {"step 7"}
    assert len(details[half:]) > 1
    assert {*details[half:]} == {"half way"}


@pytest.mark.parametrize("function", [waits, waits_quietly], ids=["exception", "no exception"])
def test_a_cancelled_activity_ends_as_cancelled(environment, function):
    """Temporal takes its own error only for a cancellation."""
    begun = threading.Event()
    cancelling = threading.Thread(target=lambda: begun.wait(60) and environment.cancel())
    cancelling.start()
    with pytest.raises(CancelledError):
        environment.run(function, begun)
    cancelling.join()


def test_a_cancelled_async_activity_ends_as_cancelled(environment):
    """Or that of asyncio."""

    async def cancelled():
        begun = threading.Event()
        running = asyncio.ensure_future(environment.run(awaits, begun))
        await asyncio.to_thread(begun.wait, 60)
        environment.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_an_activity_that_is_cancelled_while_its_cluster_starts_has_no_body(environment):
    """The first heartbeat brings the news."""
    environment.on_heartbeat = lambda *_: environment.cancel()
    begun = threading.Event()
    with pytest.raises(CancelledError):
        environment.run(waits, begun)
    assert not begun.is_set()
