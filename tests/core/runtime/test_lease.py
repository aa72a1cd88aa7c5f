"""Whatever becomes of the driver, its cluster ends; and it does not end while the driver lives."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest
from distributed import LocalCluster

from daskbridge import ClusterClass, ClusterRef, Dask, Existing, transient
from daskbridge.cluster import Lease
from daskbridge.errors import LifetimeOver, UnsupportedByTarget
from daskbridge.runtime._lease import lease_of

#: A cluster that was started for one run, and that nobody but itself ends.
MINE = """
    from daskbridge.cluster import AttachedCluster, ClusterRef
    class Mine(Existing):
        async def provision(self, topology, run):
            return AttachedCluster(ClusterRef("mine", run.name, self._find(topology)))
    def mine(**topology):
        provisioner = Mine(os.environ["SCHEDULER"])
        object.__setattr__(provisioner, "capabilities", frozenset({"max-lifetime"}))
        return transient(Dask(**topology), provisioner=provisioner, code=False)
"""


@pytest.fixture
def terms(monkeypatch):
    """Set the terms of leases, for the driver that a test starts."""

    def chosen(**seconds):
        for term, value in seconds.items():
            monkeypatch.setenv(f"DASK_DASKBRIDGE__LEASE_{term.upper()}", str(value))

    return chosen


@pytest.fixture
def nodes(remote, monkeypatch):
    """Start a scheduler and a worker under a nanny; give how to list all processes, the scheduler first."""
    processes = remote.scheduler("--no-dashboard"), remote.worker("only", "--nanny")
    monkeypatch.setenv("SCHEDULER", remote.address)
    started = [psutil.Process(process.pid) for process in processes]
    return lambda: [each.pid for each in [*started, *started[1].children(recursive=True)]]


@pytest.mark.parametrize(
    "body",
    ["threading.Event().wait()", "cluster.client.submit(time.sleep, 600).result()"],
    ids=["idle worker", "busy worker"],
)
def test_the_nodes_end_when_the_driver_is_killed(drive, nodes, gone, terms, body):
    terms(grace=1)
    driver = drive(
        MINE
        + f"""
    with mine() as cluster:
        report(ready=True)
        {body}
    """
    )
    next(driver.reports())
    pids = nodes()
    assert len(pids) >= 3
    driver.process.kill()
    assert gone(pids[:1], timeout=20)
    assert gone(pids, timeout=60)


def test_the_nodes_end_when_the_driver_is_suspended_and_it_learns_that_later(drive, nodes, gone, terms):
    terms(stale=1)
    driver = drive(
        MINE
        + """
    with mine() as cluster:
        report(ready=True)
        cluster.client.submit(time.sleep, 600).result()
    """
    )
    next(driver.reports())
    pids = nodes()
    driver.process.send_signal(signal.SIGSTOP)
    try:
        assert gone(pids[:1], timeout=20)
    finally:
        driver.process.send_signal(signal.SIGCONT)
    code, errors = driver.wait()
    assert code == 1
    assert "daskbridge.errors.ClusterLost: the cluster at tcp://127.0.0.1:" in errors
    assert gone(pids, timeout=60)


def test_a_driver_that_is_taken_for_silent_is_told_why(drive, nodes, terms):
    terms(stale=1)
    driver = drive(
        MINE
        + """
    with mine() as cluster:
        cluster._engine.connection.client._periodic_callbacks["heartbeat"].stop()
        cluster.client.submit(time.sleep, 600).result()
    """
    )
    code, errors = driver.wait()
    assert code == 1
    assert "is lost: it ended itself: its owner has been silent for 1 s" in errors


def test_a_driver_that_lives_and_does_nothing_keeps_its_cluster(drive, nodes, terms):
    terms(start=0.5, grace=0.5, stale=0.5)
    driver = drive(
        MINE
        + """
    with mine() as cluster:
        threading.Event().wait(4)
        report(found=cluster.client.submit(int, 3).result())
    """
    )
    assert next(driver.reports(), None) == {"found": 3}
    assert driver.wait() == (0, "")


def test_a_scheduler_that_was_suspended_does_not_take_its_owner_for_silent(drive, nodes, terms):
    terms(grace=0.2, stale=2)  # the grace makes the scheduler look more often than its owner is heard
    driver = drive(
        MINE
        + """
    with mine() as cluster:
        pid = cluster.client.run_on_scheduler(os.getpid)
        for _ in range(2):
            psutil.Process(pid).suspend()
            threading.Event().wait(2.5)
            psutil.Process(pid).resume()
            threading.Event().wait(0.6)
        report(found=cluster.client.submit(int, 3).result())
    """
    )
    assert next(driver.reports(), None) == {"found": 3}
    assert driver.wait() == (0, "")


def test_nodes_end_with_the_lifetime_though_the_body_can_t_be_interrupted(drive, nodes, gone, terms):
    terms(grace=1)
    driver = drive(
        MINE
        + """
    with mine(max_lifetime=3):
        report(ready=True)
        threading.Event().wait()
    """
    )
    next(driver.reports())
    assert gone(nodes(), timeout=20)
    assert driver.process.poll() is None


def test_a_lifetime_that_is_over_before_the_body_begins_is_said(drive, nodes, terms):
    driver = drive(
        MINE
        + """
    from daskbridge import WorkerGroup
    with mine(max_lifetime=3, min_workers=2, workers=WorkerGroup(2)):
        report(entered=True)
    """
    )
    assert list(driver.reports()) == []
    code, errors = driver.wait()
    assert code == 1
    assert "LifetimeOver: the cluster's lifetime is over: max_lifetime=3 s was given" in errors


THREADS = {"n_workers": 0, "processes": False, "dashboard_address": "127.0.0.1:0"}


@pytest.mark.parametrize(
    "provisioner",
    ["local", ClusterClass(LocalCluster, THREADS)],
    ids=lambda each: str(getattr(each, "name", each)),
)
def test_a_body_that_waits_ends_with_the_lifetime(provisioner):
    def body():
        with transient(Dask(max_lifetime=4), provisioner=provisioner, code=False) as cluster:
            assert cluster.lease.ends.endswith(", and 4 s after it was provisioned at the latest")
            cluster.client.submit(int, resources={"what no worker has": 1}).result()

    began = time.monotonic()
    with pytest.raises(LifetimeOver, match="max_lifetime=4 s was given") as caught:
        body()
    assert 4 <= time.monotonic() - began < 20
    assert caught.value.__notes__ == ["hint: raise Dask(max_lifetime=), or let more workers share the work"]
    assert not caught.value.retryable


def test_a_cluster_of_somebody_else_s_has_no_lifetime():
    with pytest.raises(UnsupportedByTarget, match="max_lifetime=60"):
        transient(Dask(max_lifetime=60), provisioner=Existing("127.0.0.1:9"))


@pytest.mark.parametrize(
    ("ref", "lease"),
    [
        (
            ClusterRef("lab", "a", "tcp://a:1"),
            Lease(
                600,
                30,
                60,
                None,
                f"process {os.getpid()} when its block ends; the cluster itself 30 s after that process is"
                " gone or 60 s after it falls silent",
            ),
        ),
        (
            ClusterRef("lab", "a", "tcp://a:1", supervised=True, owner="Lab"),
            Lease(None, None, None, None, "Lab"),
        ),
        (ClusterRef("lab", "a", "tcp://a:1", exclusive=False), Lease(None, None, None, None, "its owner")),
    ],
    ids=["ours", "supervised", "shared"],
)
def test_a_lease_says_who_ends_the_cluster_and_when(ref, lease):
    assert lease_of(ref, Dask()) == lease
