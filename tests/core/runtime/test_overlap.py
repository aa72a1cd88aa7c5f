"""Clusters that are open at once in one process, in threads, closed in any order."""

from __future__ import annotations

import asyncio
import copy
import threading
from contextlib import ExitStack

import dask.config
import pytest
from distributed import Client, LocalCluster, get_client

from daskbridge import ClusterClass, Dask, transient
from daskbridge.errors import AmbiguousCluster, SettingError
from daskbridge.runtime import _current
from daskbridge.runtime._loop import LoopThread

THREADS = {"processes": False, "n_workers": 0, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}


def in_process():
    return transient(Dask(), provisioner=ClusterClass(LocalCluster, THREADS), code=False)


@pytest.fixture
def configuration():
    """Compare Dask's whole configuration before and after."""

    def now():
        config = copy.deepcopy(dask.config.config)
        del config["distributed"]["scheduler"]["http"]["routes"]  # a scheduler without bokeh appends to it
        return config

    before = now()
    yield
    assert now() == before


@pytest.mark.parametrize("first", [0, 1], ids=["in order", "crossed"])
def test_two_clusters_never_cross_and_leave_dask_s_configuration_alone(configuration, first):
    opened, asked, close, results = (
        threading.Barrier(2),
        threading.Barrier(3),
        [threading.Event(), threading.Event()],
        {},
    )

    starting = threading.Lock()

    def body(number):
        with ExitStack() as stack:
            with starting:  # without bokeh, LocalCluster can't be started by two threads at the same moment
                cluster = stack.enter_context(in_process())
            opened.wait(30)
            mine = get_client() is cluster.client
            with Client() as bare:
                mine &= bare.scheduler.address == cluster.scheduler_address
                results[number] = (mine, bare.submit(int, number).result())
            asked.wait(30)
            close[number].wait(30)

    threads = [threading.Thread(target=body, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    asked.wait(30)
    for number in (first, 1 - first):
        close[number].set()
        threads[number].join(30)
    assert results == {0: (True, 0), 1: (True, 1)}


def test_a_bare_client_in_nested_blocks_reaches_the_inner_cluster_and_then_the_outer():
    with in_process() as outer, in_process() as inner:
        with Client() as bare:
            assert bare.scheduler.address == inner.scheduler_address
        with outer.context(), Client() as bare:
            assert bare.scheduler.address == outer.scheduler_address


def test_an_asynchronous_bare_client_reaches_the_cluster_of_its_context():
    async def body():
        async with in_process() as outer, in_process() as inner:
            assert outer.scheduler_address != inner.scheduler_address
            async with Client(asynchronous=True) as bare:
                assert bare.scheduler.address == inner.scheduler_address

    asyncio.run(body())


def test_a_bare_client_of_an_inner_cluster_shows_itself_and_shuts_only_that_one_down():
    with transient(Dask(), code=False) as outer:
        with transient(Dask(), code=False) as inner:
            bare = Client()
            assert "more-than-one-cluster" in bare._repr_html_()
            bare.shutdown()
            assert inner.client.status != "running"
        assert outer.client.submit(int, 1).result() == 1


def test_the_configuration_of_several_clusters_travels_as_text():
    with in_process(), in_process():
        travelled = dask.config.get("scheduler-address").__reduce__()
    assert travelled == (str, ("daskbridge://more-than-one-cluster-is-open",))


def test_the_loop_thread_ends_though_a_lookup_hangs():
    answered, asked = threading.Event(), threading.Event()

    def lookup():
        asked.set()
        answered.wait(60)

    async def ask():
        asyncio.get_running_loop().run_in_executor(None, lookup)

    loop = LoopThread.acquire()
    loop.submit(ask).result()
    assert asked.wait(10)
    LoopThread.release()
    assert not answered.is_set()
    answered.set()


def test_a_block_that_a_wrong_setting_kept_shut_can_be_entered_later():
    block = in_process()
    with dask.config.set({"daskbridge.step-interval": "often"}), pytest.raises(SettingError), block:
        pass
    with block as cluster:
        assert cluster.client.submit(int, 1).result() == 1


def test_a_thread_without_a_current_cluster_does_not_guess_between_two():
    def work():
        try:
            Client()
        except AmbiguousCluster as error:
            told.append(str(error))

    told: list[str] = []
    with in_process() as outer, in_process() as inner:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert all(cluster.scheduler_address in told[0] for cluster in (outer, inner))


def test_the_configuration_of_several_clusters_can_be_serialized():
    with in_process(), in_process():
        text = dask.config.serialize(dask.config.config)
    assert dask.config.deserialize(text)["scheduler-address"].startswith("daskbridge://")


def test_a_bare_client_finds_the_other_cluster_once_one_of_two_is_closed(configuration):
    with in_process() as outer:
        with in_process() as inner:
            assert get_client() is inner.client
        assert get_client() is outer.client
        with Client() as bare:
            assert bare.scheduler.address == outer.scheduler_address


def test_a_configured_address_and_loader_come_back(configuration):
    mine = {"scheduler-address": "tcp://elsewhere:1", "distributed.client.security-loader": "builtins.dict"}
    with dask.config.set(mine):
        with in_process() as cluster:
            assert dask.config.get("scheduler-address") == cluster.scheduler_address
            assert _current.load_security({"address": "tcp://elsewhere:1"}) == {
                "address": "tcp://elsewhere:1"
            }
        assert {key: dask.config.get(key) for key in mine} == mine


def test_a_client_that_the_body_left_open_is_closed(configuration):
    with in_process():
        left = Client()
    assert left.status == "closed"


def test_the_loop_thread_ends_with_its_last_user():
    with in_process(), in_process():
        assert [thread.name for thread in threading.enumerate()].count("daskbridge") == 1
    assert "daskbridge" not in [thread.name for thread in threading.enumerate()]


def test_a_forked_child_starts_afresh(configuration):
    """Airflow forks its tasks: the parent's thread is not there, and its cluster is the parent's."""
    import os

    with in_process():
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            from daskbridge.runtime._loop import LoopThread

            told = f"{LoopThread._current} {dask.config.get('scheduler-address', None)}"
            os.write(writer, told.encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            assert pipe.read() == "None None"


def test_blocks_closed_out_of_order_in_one_context_leave_the_newer_client_current(configuration):
    first, second = in_process(), in_process()
    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    assert get_client() is inner.client
    second.__exit__(None, None, None)
    with pytest.raises(ValueError, match="No global client"):
        get_client()


def test_a_sigterm_handler_of_the_body_s_own_stays():
    import signal

    def mine(*_):
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    try:
        with in_process():
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
