"""Workers that end without being asked to come again under their names, and the reason is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from distributed import KilledWorker

from daskbridge import Dask, Resources, WorkerGroup, transient
from daskbridge.cluster.local_zygote import _dead
from daskbridge.errors import ClusterLost

EAGER = {"distributed": {"scheduler": {"allowed-failures": 0}}}


@pytest.fixture(scope="module")
def cluster(flavour):
    topology = Dask(workers=WorkerGroup(2, threads=1), min_workers=2, config=EAGER)
    with transient(topology, code=False) as cluster:
        yield cluster


def devour():
    """Return a function that uses more memory than there is until somebody minds; it travels by value."""

    def more():
        much = bytearray(b"1") * 400 * 2**20
        threading.Event().wait(20)
        return len(much)

    return more


def restarts(cluster):
    events = [event for _, event in cluster.client.get_events("daskbridge")]
    return [event for event in events if event["kind"] == "worker-restarted"]


@pytest.fixture
def ended(cluster, eventually, by_name):
    """Wait for the next restart and for both workers; return its event and the new process's id."""
    before = len(restarts(cluster))

    def wait():
        (event,) = eventually(lambda: restarts(cluster)[before:])
        cluster.client.wait_for_workers(2, timeout=20)
        eventually(lambda: len(cluster.client.scheduler_info(n_workers=-1)["workers"]) == 2)
        return event, by_name(cluster, os.getpid)

    return wait


def test_a_worker_that_is_killed_comes_again_under_its_name(cluster, by_name, ended):
    before = by_name(cluster, os.getpid)
    os.kill(before["default-1"], signal.SIGKILL)
    event, after = ended()
    assert (event["name"], event["why"]) == ("default-1", "signal 9")
    assert after["default-0"] == before["default-0"]
    assert after["default-1"] != before["default-1"]


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_whose_task_ends_the_process_comes_again(cluster, ended, code):
    with pytest.raises(KilledWorker):
        cluster.client.submit(os._exit, code, pure=False, workers=["default-0"]).result(timeout=20)
    event, after = ended()
    assert (event["name"], event["why"]) == ("default-0", f"exit code {code}")
    assert {*after} == {"default-0", "default-1"}


def test_restart_of_the_client_brings_all_workers_again(cluster, by_name):
    seen = [*by_name(cluster, os.getpid).values()]
    for _ in range(8):  # who asks for it often is not held up as a worker would be that fails to live
        cluster.client.restart(timeout=4)
        after = by_name(cluster, os.getpid)
        assert {*after} == {"default-0", "default-1"}
        seen += after.values()
    assert len({*seen}) == len(seen)


def test_restart_of_the_client_ends_a_task_that_runs(cluster, by_name, eventually):
    before = by_name(cluster, os.getpid)
    task = cluster.client.submit(time.sleep, 60, pure=False)
    eventually(lambda: any(cluster.client.processing().values()))
    cluster.client.restart(timeout=10)
    assert not {*before.values()} & {*by_name(cluster, os.getpid).values()}
    assert task.cancelled()


def test_what_a_worker_has_started_ends_with_it(cluster, by_name, ended, gone):
    def begin():
        import subprocess

        return subprocess.Popen(["/bin/sleep", "600"]).pid

    children = by_name(cluster, begin)
    workers = by_name(cluster, os.getpid)
    os.kill(workers["default-1"], signal.SIGKILL)
    ended()
    assert gone([children["default-1"]])
    os.kill(children["default-0"], 0)


def test_the_supervisor_says_why_in_the_scheduler_s_log(cluster, by_name, ended, eventually):
    pid = by_name(cluster, os.getpid)["default-1"]
    os.kill(pid, signal.SIGKILL)
    event, _ = ended()
    told = f"worker default-1 ({event['address']}) ended: signal 9; it starts again"
    eventually(lambda: told in cluster.logs()["scheduler"])


def test_a_worker_above_its_memory_limit_is_ended_and_comes_again(flavour, eventually, names):
    group = WorkerGroup(threads=1, resources=Resources(memory="250Mi"))
    with transient(Dask(workers=group, config=EAGER), code=False) as cluster:
        with pytest.raises(KilledWorker):
            cluster.client.submit(devour()).result(timeout=20)
        (event,) = eventually(lambda: restarts(cluster))
        cluster.client.wait_for_workers(1, timeout=20)
        assert event["name"] == "default-0"
        assert "above its memory limit: " in event["why"]
        assert " of 250 MiB in use" in event["why"]
        ((_, memory),) = cluster.client.get_events("worker-restart-memory")
        assert memory["worker"] == event["address"]
        assert memory["rss"] > 200 * 2**20
        assert names(cluster) == {"default-0"}


def test_the_story_of_a_killed_worker_has_the_memory_limit(flavour):
    group = WorkerGroup(threads=1, resources=Resources(memory="250Mi"))
    with (
        pytest.raises(KilledWorker) as caught,
        transient(Dask(workers=group, config=EAGER), code=False) as cluster,
    ):
        cluster.client.submit(devour()).result(timeout=20)
    assert "above its memory limit" in "\n".join(caught.value.__notes__)


def test_a_scheduler_that_a_task_ends_is_lost_with_its_code(flavour):
    with (
        pytest.raises(ClusterLost, match="exit code 0"),
        transient(Dask(), code=False) as cluster,
    ):
        cluster.client.run_on_scheduler(os._exit, 0)


@pytest.mark.parametrize("has_waitid", [True, False], ids=["waitid", "as on an old macOS"])
def test_children_that_ended_are_found_before_their_numbers_are_free(monkeypatch, has_waitid):
    if not has_waitid:
        monkeypatch.delattr(os, "waitid")
    pipe = subprocess.PIPE
    ended, lives = (subprocess.Popen([sys.executable, "-c", text], stdin=pipe) for text in ("", "input()"))
    try:
        while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert next(iter(_dead([ended.pid, lives.pid]))) == ended.pid
    finally:
        lives.kill()
        for each in (ended, lives):
            each.stdin.close()
        assert (ended.wait(20), lives.wait(20)) == (0, -signal.SIGKILL)
