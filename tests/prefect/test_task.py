"""What a decorated task is to Prefect, and when it has a cluster."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time

import cloudpickle
import dask.base
import distributed
import pytest
from daskbridge_prefect import Dask, WorkerGroup, dask_task, on_dask
from prefect import flow, task
from prefect.assets import materialize
from prefect.cache_policies import INPUTS
from prefect.context import FlowRunContext, TaskRunContext
from prefect.tasks import MaterializingTask, Task, task_input_hash

from daskbridge import Existing
from daskbridge.errors import ProvisioningError, ScopeError, TopologyError

ONE = Dask(workers=WorkerGroup(1))
ours = on_dask(ONE, code=False)


def here():
    """Name the cluster that the caller has."""
    return distributed.get_client().scheduler.address


def add(x: int, y: int = 1) -> int:
    """Add two numbers."""
    return distributed.get_client().submit(int.__add__, x, y).result()


async def aadd(x: int, y: int = 1) -> int:
    return await distributed.get_client().submit(int.__add__, x, y)


def count(n: int):
    for i in range(n):
        yield distributed.get_client().submit(abs, -i).result()


async def acount(n: int):
    for i in range(n):
        yield await distributed.get_client().submit(abs, -i)


@pytest.fixture
def silent():
    """Give an address where somebody listens who never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


ORDERS = {
    "above": lambda function, **options: ours(task(**options)(function)),
    "below": lambda function, **options: task(**options)(ours(function)),
    "in one": lambda function, **options: dask_task(cluster=ONE, code=False, **options)(function),
}


@pytest.fixture(params=ORDERS)
def made(request):
    """Make a task of a function, with options, in one of the three ways."""
    return ORDERS[request.param]


def test_a_task_runs_with_a_cluster_however_it_is_called(api, made):
    adding = made(add, tags=["one"])

    @flow
    def main():
        results = [adding(1), adding.submit(2, y=3).result(), *adding.map([1, 2]).result()]
        return results, adding.with_options(name="other", retries=1)(4)

    assert main() == ([2, 5, 2, 3], 5)


def test_outside_of_a_flow_a_task_has_a_cluster_too(api, made):
    assert made(add)(1) == 2
    assert made(add).fn(1) == 2
    assert asyncio.run(made(aadd)(1)) == 2


def test_async_tasks_have_a_cluster(api, made):
    adding = made(aadd)

    @flow
    async def main():
        return await adding(1), adding.submit(2).result(), await asyncio.gather(adding(3), adding(4))

    assert asyncio.run(main()) == (2, 3, [4, 5])


def test_generator_tasks_have_a_cluster_in_their_steps_only(api, made):
    counting = made(count)

    @flow
    def main():
        found = []
        for i in counting(3):
            found.append(i)
            with pytest.raises(ValueError, match="No global client"):
                here()
        return found, list(counting.submit(2).result())

    assert main() == ([0, 1, 2], [0, 1])


def test_async_generator_tasks_have_a_cluster_in_their_steps_only(api, made):
    counting = made(acount)

    @flow
    async def main():
        found = []
        async for i in counting(2):
            found.append(i)
            with pytest.raises(ValueError, match="No global client"):
                here()
        return found

    assert asyncio.run(main()) == [0, 1]


def test_a_materializing_task_stays_one(api):
    made = ours(materialize("file:///tmp/numbers", retries=1)(add))
    assert isinstance(made, MaterializingTask)
    assert made.assets == materialize("file:///tmp/numbers")(add).assets

    @flow
    def main():
        return made(1), made.with_options(retries=0)(2)

    assert main() == (2, 3)


def test_prefect_sees_the_users_function(made):
    plain, decorated = task(retries=2)(add), made(add, retries=2)
    again = decorated.with_options(name="again")
    for each in (decorated, again):
        assert each.task_key == plain.task_key
        assert each.source_code == plain.source_code
        assert inspect.signature(each) == inspect.signature(add)
        assert each.fn.__doc__ == add.__doc__
        assert inspect.get_annotations(each.fn) == inspect.get_annotations(add)
        assert (each.isasync, each.isgenerator) == (plain.isasync, plain.isgenerator)
        assert each.retries == 2
    assert decorated.name == plain.name


def test_the_input_hash_changes_with_the_users_code_only(made):
    """Prefect's cache must not give another function's result, nor compute the same twice."""

    def other(x: int, y: int = 1) -> int:
        return distributed.get_client().submit(int.__mul__, x, y).result()

    other.__name__, other.__qualname__ = add.__name__, add.__qualname__

    def hashed(each: Task):
        context = TaskRunContext.model_construct(task=each)
        return task_input_hash(context, {"x": 1})

    first = made(add, cache_key_fn=task_input_hash)
    for each in (first, first.with_options(retries=1)):
        assert hashed(each) == hashed(task(add))
    assert hashed(made(other)) == hashed(task(other)) != hashed(first)


def test_a_decorated_task_is_another_task_than_the_one_below():
    plain = task(add, tags=["one"])
    decorated = ours(plain)

    @decorated.on_failure
    def noticed(*_):
        """Do nothing."""

    decorated.tags.add("two")
    assert (plain.tags, plain.on_failure_hooks) == ({"one"}, [])
    assert plain.fn is add


def test_a_cached_result_starts_no_cluster(api, started):
    cached = ours(task(add, cache_policy=INPUTS, persist_result=True))

    @flow
    def main():
        return [cached(1), cached(1), cached.submit(1).result()]

    assert main() == [2, 2, 2]
    assert len(started) == 1


def test_each_retry_has_a_cluster_of_its_own(api, started):
    seen = []

    @ours
    @task(retries=2)
    def stubborn():
        seen.append(here())
        if len(seen) < 3:
            raise ValueError("not yet")
        return seen

    @flow
    def main():
        return FlowRunContext.get().flow_run.id, stubborn()

    run, _ = main()
    assert len({*seen}) == len(seen) == 3
    assert started == seen
    (told,) = api.task_runs(run)
    assert (told["state_type"], told["run_count"]) == ("COMPLETED", 3)


def test_an_abandoned_generator_leaves_no_cluster(api, started, ended):
    counting = ours(task(count))

    @flow
    def main():
        return next(iter(counting(3)))

    assert main() == 0
    assert len(started) == 1
    assert ended(started)


def test_two_tasks_at_a_time_see_their_own_clusters_each(api, started):
    together = threading.Barrier(2, timeout=60)

    @ours
    @task
    def meet():
        together.wait()
        found = {here(), dask.base.get_scheduler().__self__.scheduler.address}
        together.wait()
        return found.pop() if len(found) == 1 else found

    @flow
    def main():
        return [future.result() for future in [meet.submit(), meet.submit()]]

    found = main()
    assert len({*found}) == 2
    assert {*found} == {*started}
    assert cloudpickle.list_registry_pickle_by_value() == set()


def test_hooks_run_after_the_cluster_is_gone_and_may_fail(api, started, ended):
    heard = []

    def hook(*_):
        heard.append(ended(started, seconds=0))
        raise RuntimeError("a hook that fails")

    @ours
    @task(on_failure=[hook])
    def failing():
        raise ValueError("as expected")

    @flow
    def main():
        return failing(return_state=True).is_failed()

    assert main()
    assert heard == [True]


def test_an_async_task_that_times_out_leaves_no_cluster(api, started, ended):
    @ours
    @task(timeout_seconds=3)
    async def endless():
        await distributed.get_client().submit(time.sleep, 60)

    @flow
    async def main():
        return (await endless(return_state=True)).name

    assert asyncio.run(main()) == "TimedOut"
    assert len(started) == 1
    assert ended(started, seconds=0)


def test_no_client_is_left(api):
    before = {*distributed.Client._instances}
    ours(task(add))(1)
    assert {client for client in distributed.Client._instances if client.status != "closed"} <= before
    with pytest.raises(ValueError, match="No global client"):
        here()


def test_a_cluster_that_cannot_start_fails_the_task_with_advice(api):
    @on_dask(Dask(workers=WorkerGroup(1), start_timeout=1), provisioner=Existing("tcp://127.0.0.1:9"))
    @task(retries=1)
    def nowhere():
        raise AssertionError("it must not run")

    @flow
    def main():
        return FlowRunContext.get().flow_run.id, nowhere(return_state=True)

    run, state = main()
    (told,) = api.task_runs(run)
    assert (told["state_type"], told["run_count"]) == ("FAILED", 2)
    assert "ProvisioningError" in told["state"]["message"]
    with pytest.raises(ProvisioningError):
        state.result()
    lines = api.logs(task_run_id=told["id"], said="hint: ")
    assert sum(line["message"].startswith("hint: ") for line in lines) == 2, "each attempt says what to do"
    found = api.artifacts(told["id"])
    assert {*found} == {"dask-summary", "dask-summary-2"}
    assert "hint: " in found["dask-summary"]["data"]


def test_provisioning_counts_as_part_of_the_task(api, silent):
    @on_dask(Dask(start_timeout=60), provisioner=Existing(silent))
    @task(timeout_seconds=0.5)
    async def slow():
        raise AssertionError("it must not run")

    @flow
    async def main():
        return FlowRunContext.get().flow_run.id, await slow(return_state=True)

    run, _ = asyncio.run(main())
    (told,) = api.task_runs(run)
    assert told["state_name"] == "TimedOut"


def test_a_start_up_that_takes_too_long_has_a_bound_of_its_own(api, silent):
    @on_dask(Dask(start_timeout=0.5), provisioner=Existing(silent))
    @task(timeout_seconds=60)
    def slow():
        raise AssertionError("it must not run")

    @flow
    def main():
        return slow(return_state=True)

    with pytest.raises(ProvisioningError, match="start_timeout=0.5 s"):
        main().result()


def test_a_map_is_bounded_by_max_clusters(api):
    lock, pair, running, most = threading.Lock(), threading.Barrier(2, timeout=60), [0], [0]

    @on_dask(ONE, code=False, max_clusters=2)
    @task
    def one(x: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pair.wait()
        result = distributed.get_client().submit(abs, -x).result()
        with lock:
            running[0] -= 1
        return result

    @flow
    def main():
        return one.map(range(6)).result()

    assert main() == [0, 1, 2, 3, 4, 5]
    assert most == [2]


def test_the_topology_follows_from_the_tasks_arguments(api, started):
    @on_dask(lambda n: Dask(workers=WorkerGroup(n), min_workers=n), code=False)
    @task
    def sized(name: str, n: int = 2) -> int:
        return len(distributed.get_client().scheduler_info()["workers"])

    @flow
    def main():
        return sized("one", 1), sized(name="two"), sized("three", 0, return_state=True)

    *good, bad = main()
    assert good == [1, 2]
    assert len(started) == 2
    with pytest.raises(TopologyError, match="number_of_workers: 0 was given"):
        bad.result()


def test_a_topology_that_asks_for_unknown_arguments_is_an_error_at_definition():
    with pytest.raises(TypeError, match="unknown argument of add 'size'; known: x, y"):
        on_dask(lambda size: Dask(workers=WorkerGroup(size)))(task(add))


def test_a_flow_is_refused():
    with pytest.raises(TypeError, match="on_dask got the flow 'add'; expected a task"):
        ours(flow(add))


def test_tasks_of_a_flow_share_a_cluster_that_ends_with_the_flow_run(api, started, ended):
    shared = on_dask(ONE, code=False, scope="flow")(task(here))

    @flow
    def inner():
        return shared()

    @flow
    def main():
        mine = [shared(), *[future.result() for future in [shared.submit(), shared.submit()]]]
        assert not ended(started, seconds=0)
        return mine, inner()

    mine, of_inner = main()
    assert len({*mine}) == 1
    assert of_inner not in mine
    assert started == [mine[0], of_inner]
    assert ended(started)


def test_the_scope_of_a_flow_needs_one(api):
    shared = on_dask(ONE, code=False, scope="flow")(task(here))
    with pytest.raises(ScopeError, match="names no flow run"):
        shared()
