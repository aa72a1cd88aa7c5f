"""One cluster for the blocks of a process: started once, counted, ended by the last one out."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest
from distributed import Client, KilledWorker, LocalCluster, get_client

from daskbridge import ClusterClass, Dask, WorkerGroup, on_dask, transient
from daskbridge.errors import (
    BundleError,
    ClusterLost,
    ProvisioningError,
    RunCancelled,
    ScopeError,
    TopologyError,
)
from daskbridge.plugins import plugins
from daskbridge.runtime import _shared
from daskbridge.runtime._loop import LoopThread

PATIENCE = 30
ONE = Dask(workers=WorkerGroup(1))


def shared(topology=ONE, *, code=False, **options):
    return transient(topology, scope="process", code=code, **options)


def pids(cluster):
    """Return the processes of the cluster's nodes, the scheduler's first."""
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        return [client.run_on_scheduler(os.getpid), *client.run(os.getpid).values()]


class Open:
    """Hold a block open in a thread of its own until it is left."""

    def __init__(self, block, body=None):
        self.entered, self.leave = threading.Event(), threading.Event()
        self.cluster = self.error = self.result = None
        self._block, self._body = block, body
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            with self._block as self.cluster:
                self.entered.set()
                if self._body is not None:
                    self.result = self._body(self.cluster)
                assert self.leave.wait(PATIENCE)
        except Exception as error:  # noqa: BLE001 -- for the test to look at
            self.error = error
        finally:
            self.entered.set()

    def wait(self):
        assert self.entered.wait(PATIENCE)
        return self

    def end(self):
        self.leave.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self


@pytest.fixture(autouse=True)
def hold():
    """Hold blocks open in threads; whatever happened, nothing stays."""
    held: list[Open] = []

    def hold(block, body=None):
        held.append(Open(block, body))
        return held[-1]

    yield hold
    for each in held:
        each.end()
    assert not _shared._open
    assert LoopThread._users == 0


def test_two_threads_share_one_cluster_and_the_last_one_out_ends_it(gone, hold):
    def body(cluster):
        mine = get_client() is cluster.client
        with Client() as bare:
            return mine, bare.scheduler.address, cluster.client.submit(os.getpid, pure=False).result()

    first, second = hold(shared(), body).wait(), hold(shared(Dask(workers=WorkerGroup(1))), body).wait()
    until(lambda: first.result and second.result)
    address = first.cluster.scheduler_address
    assert first.result == second.result == (True, address, first.result[2])
    assert first.cluster.client is not second.cluster.client
    assert not first.cluster.ref.exclusive
    assert second.cluster.ref.owner == f"the last block of process {os.getpid()} that uses it"
    assert second.cluster.dashboard_link == first.cluster.dashboard_link
    processes = pids(first.cluster)
    first.end()
    assert second.cluster.client.submit(int, 4).result() == 4
    second.end()
    assert gone(processes, timeout=0)


def test_the_steps_and_notes_say_that_the_cluster_is_shared():
    with shared() as first, shared() as second:
        found = {step.name: step.detail for step in second.timeline}
    mine, theirs = (
        f"one cluster for process {os.getpid()}; other blocks on it: {number}" for number in (0, 1)
    )
    assert (first.notes[0], second.notes[0], found["provision"]) == (mine, theirs, theirs)
    names = ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]
    assert [step.name for step in second.timeline] == names


def test_blocks_that_overlap_in_a_chain_keep_it_and_a_gap_ends_it(gone, hold):
    first = hold(shared()).wait()
    processes = pids(first.cluster)
    for _ in range(3):
        second = hold(shared()).wait()
        first.end()
        assert pids(second.cluster) == processes
        first = second
    first.end()
    assert gone(processes, timeout=0)
    with shared() as cluster:
        assert not {*pids(cluster)} & {*processes}


def test_equal_topologies_share_whatever_the_order_of_their_keys_and_others_do_not():
    def made(env, config=None):
        return Dask(workers=WorkerGroup(1, env=env), config=config or {})

    one, other = made({"A": "1", "B": "2"}, {"x": {"a": 1, "b": 2}}), made({"B": "2", "A": "1"})
    equal = made({"B": "2", "A": "1"}, {"x": {"b": 2, "a": 1}})
    with shared(one) as first, shared(equal) as second, shared(other) as third:
        assert first.scheduler_address == second.scheduler_address
        assert third.scheduler_address != first.scheduler_address


def test_an_object_as_the_provisioner_shares_with_itself_only():
    keywords = {"processes": False, "n_workers": 0, "dashboard_address": "127.0.0.1:0"}
    mine, another = ClusterClass(LocalCluster, keywords), ClusterClass(LocalCluster, keywords)
    with shared(provisioner=mine) as first, shared(provisioner=mine) as second:
        assert second.scheduler_address == first.scheduler_address
        with shared(provisioner=another) as third:
            assert third.scheduler_address != first.scheduler_address


def test_a_task_s_own_cluster_is_not_shared():
    with shared() as first, transient(ONE, code=False) as second:
        assert second.scheduler_address != first.scheduler_address
        assert second.ref.exclusive


class Gated:
    """Start a local cluster, or fail to, once the gate is open; let a second gate hold its end."""

    name = "gated"
    capabilities = frozenset()
    adapts = MappingProxyType({})

    def __init__(self, *failures):
        self.failures = list(failures)
        self.gate, self.end = threading.Event(), threading.Event()
        self.asked, self.closing = threading.Event(), threading.Event()
        self.starts = 0
        self.end.set()

    def validate(self, topology):
        """Take any topology."""

    async def attach(self, ref):
        raise NotImplementedError

    async def provision(self, topology, run):
        self.starts += 1
        self.asked.set()
        while not self.gate.is_set():
            await asyncio.sleep(0.01)
        if self.failures:
            raise self.failures.pop(0)
        handle = await plugins().provisioner("local").provision(topology, run)
        close = handle.close

        async def held(reason=""):
            self.closing.set()
            while not self.end.is_set():
                await asyncio.sleep(0.01)
            await close(reason)

        handle.close = held
        return handle


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def counted():
    return sum(len(cluster.blocks) for cluster in _shared._open.values())


def test_a_start_that_fails_fails_all_who_wait_for_it_and_the_next_one_tries_anew(hold):
    provisioner = Gated(ProvisioningError("no quota", hint="ask for more"))
    waiting = [hold(shared(provisioner=provisioner)) for _ in range(3)]
    until(lambda: counted() == 3)
    provisioner.gate.set()
    errors = [each.end().error for each in waiting]
    assert {(type(error), str(error), *error.__notes__) for error in errors} == {
        (ProvisioningError, "no quota", "hint: ask for more")
    }
    assert len({id(error) for error in errors}) == 3
    with shared(provisioner=provisioner) as cluster:
        assert cluster.client.submit(int, 4).result() == 4
    assert provisioner.starts == 2


def test_cancelling_one_who_waits_for_the_start_leaves_it_to_the_others(hold):
    provisioner, cancel = Gated(), threading.Event()
    first = hold(shared(provisioner=provisioner, cancel=cancel))
    assert provisioner.asked.wait(PATIENCE)
    second = hold(shared(provisioner=provisioner))
    until(lambda: counted() == 2)
    cancel.set()
    assert isinstance(first.end().error, RunCancelled)
    provisioner.gate.set()
    assert second.wait().cluster.client.submit(int, 4).result() == 4
    assert (second.end().error, provisioner.starts) == (None, 1)


def test_cancelling_the_only_one_who_waits_ends_the_start(hold):
    provisioner, cancel = Gated(), threading.Event()
    first = hold(shared(provisioner=provisioner, cancel=cancel))
    assert provisioner.asked.wait(PATIENCE)
    cancel.set()
    assert isinstance(first.end().error, RunCancelled)
    provisioner.gate.set()
    with shared(provisioner=provisioner):
        assert provisioner.starts == 2


def test_cancelling_the_body_of_one_leaves_the_cluster_to_the_others(gone, hold):
    cancel, started = threading.Event(), threading.Event()

    def body(cluster):
        future = cluster.client.submit(time.sleep, 60)
        started.set()
        future.result()

    with shared() as cluster:
        processes = pids(cluster)
        first = hold(shared(cancel=cancel), body)
        assert started.wait(PATIENCE)
        cancel.set()
        assert isinstance(first.end().error, RunCancelled)
        assert cluster.client.submit(int, 4).result() == 4
    assert gone(processes, timeout=0)


@pytest.mark.parametrize(
    "leave",
    [
        lambda cluster: cluster.close(),
        lambda cluster: cluster.request_close(),
        lambda cluster: cluster.client.shutdown(),
    ],
    ids=["close", "request_close", "client.shutdown"],
)
def test_closing_in_one_block_leaves_the_cluster_to_the_others(gone, leave, hold):
    with shared() as cluster:
        processes = pids(cluster)

        def body(mine):
            leave(mine)
            until(lambda: mine.client.status == "closed" and counted() == 1)

        first = hold(shared(), body).end()
        assert first.error is None
        assert pids(cluster) == processes
        assert cluster.client.submit(int, 4).result() == 4
        leave(cluster)
        assert gone(processes)


def test_an_entry_that_comes_while_the_cluster_ends_waits_and_starts_a_new_one(gone, hold):
    provisioner = Gated()
    provisioner.gate.set()
    provisioner.end.clear()
    first = hold(shared(provisioner=provisioner)).wait()
    processes = pids(first.cluster)
    first.leave.set()
    assert provisioner.closing.wait(PATIENCE)
    second = hold(shared(provisioner=provisioner))
    until(lambda: LoopThread._users == 2)
    assert (provisioner.starts, second.cluster) == (1, None)
    provisioner.end.set()
    assert second.wait().error is None
    assert gone(processes, timeout=0)
    assert not {*pids(second.cluster)} & {*processes}
    first.end()
    second.end()
    assert provisioner.starts == 2


def project(directory, name, value):
    root = directory / name
    root.mkdir()
    (root / "shared_helper.py").write_text(f"def value(_):\n    return {value}\n")
    return root


def by_value():
    """Return a function that travels by value: only its import needs the project."""

    def imported(_):
        import shared_helper

        return shared_helper.value(_)

    return imported


def test_blocks_with_equal_code_share_and_other_code_is_refused_with_advice_until_they_are_done(tmp_path):
    one, two = project(tmp_path, "one", 1), project(tmp_path, "two", 2)
    with shared() as without:
        with shared(code=one) as first:
            with shared(code=one) as second:
                assert second.client.submit(by_value(), 0, pure=False).result() == 1
            with pytest.raises(BundleError) as caught, shared(code=two):
                pass
            assert f"that the blocks of process {os.getpid()} share have the code" in str(caught.value)
            assert "scope='task'" in caught.value.__notes__[0]
            assert first.client.submit(by_value(), 1, pure=False).result() == 1
        with shared(code=two) as third:
            assert third.scheduler_address == without.scheduler_address
            assert third.client.submit(by_value(), 2, pure=False).result() == 2
        error = without.client.submit(by_value(), 3, pure=False).exception()
        assert isinstance(error, ModuleNotFoundError)


def test_a_worker_that_joins_later_has_the_code(tmp_path):
    with shared(code=project(tmp_path, "one", 1)), shared(code=tmp_path / "one") as cluster:
        cluster.scale(2)
        cluster.client.wait_for_workers(2, timeout=PATIENCE)
        for address in cluster.client.scheduler_info()["workers"]:
            future = cluster.client.submit(by_value(), 0, pure=False, workers=[address])
            assert future.result(timeout=PATIENCE) == 1


def test_blocks_of_threads_and_of_event_loops_share():
    async def body():
        async with shared() as cluster:
            mine = get_client() is cluster.client
            return mine, cluster.scheduler_address, await cluster.client.submit(int, 4)

    with shared() as cluster, ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: asyncio.run(body()), range(2)))
        assert results == 2 * [(True, cluster.scheduler_address, 4)]


def test_an_async_block_that_is_cancelled_while_it_waits_leaves_the_start_to_the_others(hold):
    provisioner = Gated()

    async def main():
        waiting = asyncio.create_task(shared(provisioner=provisioner).__aenter__())
        while counted() < 2:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        return waiting.cancelled()

    first = hold(shared(provisioner=provisioner))
    assert provisioner.asked.wait(PATIENCE)
    assert asyncio.run(main())
    provisioner.gate.set()
    assert first.wait().end().error is None
    assert provisioner.starts == 1


def test_calls_of_a_thread_pool_have_one_cluster():
    everybody = threading.Barrier(8)

    @on_dask(ONE, scope="process", code=False)
    def double(number):
        everybody.wait(PATIENCE)
        client = get_client()
        return client.scheduler.address, client.submit(lambda: 2 * number).result()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(double, range(8)))
    assert [found for _, found in results] == [2 * number for number in range(8)]
    assert len({address for address, _ in results}) == 1


def wait(cluster):
    cluster.client.submit(time.sleep, 60).result()


def test_a_lost_cluster_ends_every_block_and_who_enters_at_once_starts_a_new_one(hold):
    first, second = hold(shared(), wait).wait(), hold(shared(), wait).wait()
    scheduler, *_ = pids(first.cluster)
    os.kill(scheduler, signal.SIGKILL)
    with shared() as cluster:
        assert cluster.scheduler_address != first.cluster.scheduler_address
        assert cluster.client.submit(int, 4).result() == 4
    assert [type(each.end().error) for each in (first, second)] == [ClusterLost, ClusterLost]


def test_a_client_of_one_s_own_that_shuts_the_scheduler_down_is_a_loss_for_all(hold):
    first, second = hold(shared(), wait).wait(), hold(shared(), wait).wait()
    Client(first.cluster.scheduler_address, set_as_default=False).shutdown()
    errors = [each.end().error for each in (first, second)]
    assert [type(error) for error in errors] == [ClusterLost, ClusterLost]
    assert "somebody shut its scheduler down" in str(errors[0])


def test_what_workers_print_is_logged_once_before_the_block_ends(caplog):
    with shared():
        with shared() as cluster:
            cluster.client.submit(print, "hello").result()
        assert said(caplog) == ["[default-0] hello"]


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "daskbridge.worker"]


def test_a_killed_worker_s_last_lines_are_told_to_the_block_whose_task_it_was(caplog, hold):
    topology = Dask(workers=WorkerGroup(1), config={"distributed": {"scheduler": {"allowed-failures": 0}}})

    def body(cluster):
        cluster.client.submit(print, "about to end").result()
        until(lambda: said(caplog))
        cluster.client.submit(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()

    with shared(topology):
        error = hold(shared(topology), body).end().error
    assert isinstance(error, KilledWorker)
    assert "    | about to end" in "".join(error.__notes__)


def test_a_result_that_needs_the_cluster_may_not_leave_a_shared_one_either():
    from daskbridge.errors import ResultOutlivesCluster

    @on_dask(ONE, scope="process", code=False)
    def early():
        return get_client().submit(int, 4)

    with pytest.raises(ResultOutlivesCluster):
        early()


def test_a_forked_child_has_a_cluster_of_its_own(drive, gone):
    driver = drive(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python, for whoever forks and has threads
        def shared():
            return transient(Dask(workers=WorkerGroup(1)), scope="process", code=False)
        with shared() as cluster:
            address = cluster.scheduler_address
            pid = os.fork()
            if pid == 0:
                from daskbridge.runtime import _shared
                known = len(_shared._open)
                with shared() as mine:
                    report(known=known, owner=mine.ref.owner, found=mine.client.submit(int, 3).result(),
                           other=mine.scheduler_address != address, pid=os.getpid(), nodes=nodes())
                report(left=nodes())
                os._exit(0)
            os.waitpid(pid, 0)
            report(still=cluster.client.submit(int, 4).result())
        """
    )
    child, left, parent = list(driver.reports())
    assert driver.wait() == (0, "")
    assert (child["known"], child["found"], child["other"]) == (0, 3, True)
    assert (left["left"], parent["still"]) == ([], 4)
    assert child["owner"] == f"the last block of process {child['pid']} that uses it"
    assert gone(child["nodes"], timeout=0)


@pytest.mark.parametrize(
    ("scope", "kind", "said"),
    [
        ("proces", ValueError, "unknown scope 'proces'; known: flow, process, task; did you mean 'process'?"),
        (None, TypeError, "scope is a NoneType; expected 'task', 'flow' or 'process'"),
    ],
    ids=["unknown", "no text"],
)
def test_a_wrong_scope_is_refused_at_definition(scope, kind, said):
    for define in (transient, on_dask):
        with pytest.raises(kind) as caught:
            define(ONE, scope=scope)
        assert str(caught.value) == said


def test_a_topology_without_a_document_can_t_be_shared():
    class Image:
        uri = "mine"

    topology = Dask(workers=WorkerGroup(image=Image()))
    transient(topology)
    with pytest.raises(TopologyError, match="workers.image") as caught:
        transient(topology, scope="process")
    assert caught.value.__notes__ == ["hint: give names in place of objects, or use scope='task'"]


def test_a_flow_s_cluster_outside_an_orchestrator_is_refused_with_advice():
    with pytest.raises(ScopeError, match="scope='flow' is for a task of an orchestrator") as caught:
        with transient(ONE, scope="flow", code=False):
            pass
    assert "use scope='process'" in caught.value.__notes__[0]
