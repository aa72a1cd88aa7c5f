"""What a call of a decorated function has: generators, a topology by arguments, a turn."""

from __future__ import annotations

import asyncio
import copy
import gc
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import Client, LocalCluster, get_client

from daskbridge import Dask, Existing, WorkerGroup, on_dask, transient
from daskbridge.errors import InsideDaskTask, ProvisioningError, TopologyError
from daskbridge.runtime._loop import LoopThread
from daskbridge.runtime._turns import Turns

ONE = Dask(workers=WorkerGroup(1))
on_one = on_dask(ONE, code=False)
PATIENCE = 30


@pytest.fixture(autouse=True)
def nothing_left():
    """Look after each test whether the core's thread has a user left."""
    yield
    assert LoopThread._users == 0


def no_client():
    with pytest.raises(ValueError, match="No global client"):
        get_client()
    return True


def listens(address):
    host, _, port = address.partition("://")[2].partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_generator_has_its_cluster_in_its_steps_and_not_between():
    @on_one
    def doubled(n):
        address = get_client().scheduler.address
        for i in range(n):
            got = yield get_client().submit(int.__mul__, i, 2).result()
            assert got in {None, f"after {i}"}
        return address

    steps = doubled(2)
    assert next(steps) == 0
    assert no_client()
    assert steps.send("after 0") == 2
    assert no_client()
    with pytest.raises(StopIteration) as end:
        steps.send("after 1")
    assert not listens(end.value.value)


def test_what_a_consumer_throws_reaches_the_generator():
    @on_one
    def patient():
        try:
            yield 1
        except KeyError as error:
            yield get_client().submit(str, error).result()

    steps = patient()
    next(steps)
    assert steps.throw(KeyError("away")) == "'away'"
    steps.close()


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_an_abandoned_generator_cleans_up_on_its_cluster_and_ends_it(how):
    cleaned = []

    @on_one
    def careful():
        try:
            yield get_client().scheduler.address
        finally:
            cleaned.append(get_client().submit(abs, -1).result())

    steps = careful()
    address = next(steps)
    if how == "closed":
        steps.close()
    del steps
    gc.collect()
    assert cleaned == [1]
    assert not listens(address)
    assert no_client()


def test_a_generator_that_the_cores_own_thread_collects_ends_its_cluster():
    @on_one
    def forgotten():
        yield get_client().scheduler.address

    with transient(ONE, code=False):  # the thread outlives the generator's own use
        held = [forgotten()]
        address = next(held[0])

        async def collect():
            held.clear()

        LoopThread._current.submit(collect).result(PATIENCE)
        while leaving := [each for each in threading.enumerate() if each.name == "daskbridge-leave"]:
            leaving[0].join(PATIENCE)
        assert not listens(address)


def test_an_async_generator_has_its_cluster_in_its_steps_and_not_between():
    @on_one
    async def doubled(n):
        for i in range(n):
            got = yield await get_client().submit(int.__mul__, i, 2)
            assert got in {None, "sent"}

    async def consume():
        steps = doubled(2)
        found = [await anext(steps)]
        no_client()
        found.append(await steps.asend("sent"))
        no_client()
        with pytest.raises(StopAsyncIteration):
            await anext(steps)
        async for first in doubled(2):
            found.append(first)
            break
        async with asyncio.timeout(PATIENCE):  # its loop closes what nobody holds any more
            while LoopThread._users:
                await asyncio.sleep(0.01)
        return found

    assert asyncio.run(consume()) == [0, 2, 0]


def test_a_cancel_between_the_steps_of_an_async_generator_spares_its_consumer():
    cancel = threading.Event()

    @on_dask(ONE, code=False, cancel=cancel)
    async def slow():
        yield get_client()
        await get_client().submit(abs, -1)

    async def consume():
        steps = slow()
        client = await anext(steps)
        cancel.set()
        async with asyncio.timeout(PATIENCE):
            while client.status == "running":
                await asyncio.sleep(0.05)
        assert asyncio.current_task().cancelling() == 0
        with pytest.raises(Exception, match="cancelled while the body ran"):
            await anext(steps)

    asyncio.run(consume())


def test_a_topology_may_follow_from_the_arguments_that_it_names():
    @on_dask(lambda n, threads=1: Dask(workers=WorkerGroup(n, threads=threads), min_workers=n), code=False)
    def workers(path, *, n=1):
        return len(get_client().scheduler_info()["workers"])

    assert workers("a") == 1
    assert workers("b", n=2) == 2
    with pytest.raises(TopologyError, match="number_of_workers: 0 was given"):
        workers("c", n=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        workers("d", m=1)


def test_a_topology_by_arguments_is_checked_at_definition_as_far_as_it_can_be():
    def fit(n):
        """Do nothing."""

    with pytest.raises(
        TypeError, match=r"topology: .*<lambda> asks for an unknown argument of .*fit 'workers'"
    ):
        on_dask(lambda workers: Dask(workers=WorkerGroup(workers)))(fit)
    with pytest.raises(ValueError, match="unknown scope 'day'"):
        on_dask(lambda: ONE, scope="day")
    with pytest.raises(TypeError, match="returned no topology: topology is a int; expected daskbridge.Dask"):
        on_dask(lambda n: n)(fit)(3)


class _Task:
    """Be what an orchestrator's decorator makes of a function."""

    def __call__(self): ...


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "on_dask got 3; expected a function"),
        (_Task(), r"on_dask got <.*_Task.*>; expected a function: write @on_dask below the decorator"),
        (_Task, r"on_dask got <class .*_Task'>; expected a function: "),
    ],
    ids=["a number", "a task", "a class"],
)
def test_what_is_no_function_is_refused_at_definition(given, said):
    with pytest.raises(TypeError, match=said):
        on_dask(Dask())(given)


def test_so_many_calls_at_a_time_have_a_cluster_and_the_others_wait():
    lock, pair, running, most = threading.Lock(), threading.Barrier(2, timeout=PATIENCE), [0], [0]

    @on_dask(ONE, code=False, max_clusters=2)
    def one(x):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pair.wait()
        result = get_client().submit(abs, -x).result()
        with lock:
            running[0] -= 1
        return result

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == list(range(6))
    assert most == [2]


def test_a_turn_is_passed_on_by_whoever_is_cancelled_while_waiting():
    turns = Turns(1, "fit")
    order = []

    async def wait(name):
        async with turns.aturn():
            order.append(name)

    async def main():
        with turns.turn():
            given_up, patient = (asyncio.create_task(wait(name)) for name in ("given up", "patient"))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait({given_up})
        await asyncio.wait_for(patient, PATIENCE)
        with turns.turn():
            order.append("free again")

    asyncio.run(main())
    assert order == ["patient", "free again"]


def test_a_bound_travels_to_another_process_and_counts_anew_there():
    turns = copy.copy(Turns(1, "fit"))  # as pickle does it
    with turns.turn():
        pass


@pytest.mark.parametrize("number", [0, -1, True, "2"])
def test_a_bound_is_a_number_of_clusters(number):
    with pytest.raises(ValueError, match="expected a number of clusters, at least 1"):
        on_dask(ONE, max_clusters=number)(len)


def test_a_cluster_inside_a_task_of_another_is_refused():
    def nested():
        with transient(ONE, code=False):
            return "never"

    with (
        LocalCluster(1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as outer,
    ):
        with pytest.raises(InsideDaskTask, match="inside a task of another, on its worker inproc://"):
            outer.submit(nested, pure=False).result(PATIENCE)
        with pytest.raises(InsideDaskTask):
            outer.submit(on_one(len), [], pure=False).result(PATIENCE)


def test_a_start_that_is_given_up_leaves_no_client_behind():
    with socket.create_server(("127.0.0.1", 0)) as silent, warnings.catch_warnings():
        warnings.simplefilter("error")
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProvisioningError, match="start_timeout=0.3 s"):
            with transient(Dask(start_timeout=0.3), provisioner=Existing(address), code=False):
                pass
        assert {client.status for client in Client._instances} <= {"closed"}
        gc.collect()


def test_the_run_counts_the_tasks_that_are_done():
    with transient(ONE, code=False) as cluster:
        futures = cluster.client.map(abs, range(7))
        cluster.client.gather(futures)
        run = cluster._engine.run
        end = threading.Event()
        for _ in range(10 * PATIENCE):
            if run.progress == (7, 7):
                break
            end.wait(0.1)
        assert run.progress == (7, 7)
