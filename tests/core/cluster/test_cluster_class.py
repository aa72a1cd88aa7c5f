"""Any class of Dask's cluster family as a provisioner."""

from __future__ import annotations

import asyncio
import threading

import dask
import pytest
from distributed import LocalCluster

from daskbridge import ClusterClass, Dask, Resources, WorkerGroup, transient
from daskbridge.errors import ProvisioningError, RunCancelled, TopologyError, UnsupportedByTarget

THREADS = {"processes": False, "n_workers": 0, "dashboard_address": "127.0.0.1:0"}


@pytest.fixture
def made():
    """Record the clusters that are made."""
    clusters = []

    class Recorded(LocalCluster):
        def __init__(self, **keywords):
            clusters.append(self)
            super().__init__(**keywords)

    Recorded.clusters = clusters
    return Recorded


def test_a_class_is_called_scaled_and_closed(made):
    with transient(
        Dask(workers=WorkerGroup(2), min_workers=2), provisioner=ClusterClass(made, THREADS), code=False
    ) as c:
        assert len(c.client.scheduler_info()["workers"]) == 2
        c.scale(3)
        c.client.wait_for_workers(3, timeout=30)
        assert c.ref.kind == "cluster-class"
    assert made.clusters[0].status.name == "closed"


def test_adaptive_workers_come_with_the_work(made):
    topology = Dask(workers=WorkerGroup(1, max_workers=3))
    with transient(topology, provisioner=ClusterClass(made, THREADS), code=False) as cluster:
        assert made.clusters[0]._adaptive.maximum == 3
        assert cluster.client.submit(int, 1).result() == 1


def test_a_document_names_the_class():
    options = {"cluster-class": {"class": "distributed.LocalCluster", "keywords": THREADS}}
    with transient(Dask(provisioner_options=options), provisioner="cluster-class", code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "class is missing"),
        ({"klass": "x"}, "unknown option 'klass'.*did you mean 'class'"),
        ({"class": 3}, "expected a value of type str"),
    ],
    ids=["missing", "misspelt", "type"],
)
def test_a_wrong_class_is_an_error_at_definition(options, words):
    with pytest.raises(TopologyError, match=words):
        transient(Dask(provisioner_options={"cluster-class": options}), provisioner="cluster-class")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("distributed.NoSuch", "class is 'distributed.NoSuch', which can't be imported"),
        ("nosuchpackage.Cluster", "can't be imported: No module named 'nosuchpackage'"),
    ],
    ids=["unknown", "no package"],
)
def test_a_class_need_not_be_there_before_the_cluster_is_wanted(name, words):
    topology = Dask(provisioner_options={"cluster-class": {"class": name}})
    block = transient(topology, provisioner="cluster-class", code=False)
    with pytest.raises(TopologyError, match=words), block:
        pass


def test_keywords_may_be_secrets():
    assert "hunter2" not in repr(ClusterClass(LocalCluster, {"password": "hunter2"}))


def test_what_only_the_class_knows_is_refused_in_the_topology(made):
    topology = Dask(workers=WorkerGroup(resources=Resources(cpu=2)))
    with pytest.raises(UnsupportedByTarget, match="workers.resources.cpu"):
        transient(topology, provisioner=ClusterClass(made, THREADS))


@pytest.mark.parametrize("error", [ValueError("no quota"), SystemExit("no quota")], ids=["error", "exit"])
def test_a_class_that_fails_is_told_with_its_error(error):
    def broken():
        raise error

    words = f"broken could not be started: {type(error).__name__}: no quota"
    with (
        pytest.raises(ProvisioningError, match=words) as caught,
        transient(Dask(), provisioner=ClusterClass(broken), code=False),
    ):
        pass
    assert caught.value.__cause__ is error


def test_an_object_without_an_address_is_closed():
    closed = []

    class Adrift:
        def close(self):
            closed.append(self)

    with (
        pytest.raises(ProvisioningError, match="Adrift could not be started: AttributeError"),
        transient(Dask(), provisioner=ClusterClass(Adrift), code=False),
    ):
        pass
    assert len(closed) == 1


def test_a_close_that_hangs_keeps_nobody_longer_than_the_bound(made):
    go, closed = threading.Event(), threading.Event()

    class Slow(made):
        def close(self, *args):
            go.wait(60)
            super().close(*args)
            closed.set()

    with (
        dask.config.set({"daskbridge.close-timeout": 0.5}),
        pytest.raises(ProvisioningError, match="did not end within"),
        transient(Dask(), provisioner=ClusterClass(Slow, THREADS), code=False),
    ):
        pass
    assert not closed.is_set()
    go.set()
    assert closed.wait(30)


def test_a_close_that_fails_is_told_with_its_error(made):
    class Rude(made):
        def close(self, *args):
            super().close(*args)
            if threading.current_thread().name == "daskbridge-call":  # else it is the interpreter's end
                raise TimeoutError("no goodbye")

    with (
        pytest.raises(ProvisioningError, match=r"Rude.close\(\) failed: TimeoutError: no goodbye"),
        transient(Dask(), provisioner=ClusterClass(Rude, THREADS), code=False),
    ):
        pass


def test_a_cluster_that_can_t_be_scaled_is_closed(made):
    class Stuck(made):
        def scale(self, n):
            if n:
                raise RuntimeError("no more nodes")
            return super().scale(n)

    with pytest.raises(ProvisioningError, match="no more nodes"):
        with transient(Dask(), provisioner=ClusterClass(Stuck, THREADS), code=False):
            pass
    assert made.clusters[0].status.name == "closed"


def test_a_cluster_that_comes_after_the_cancel_is_closed(made):
    cancel, called, go, closed = (threading.Event() for _ in range(4))

    class Slow(made):
        def __init__(self, **keywords):
            called.set()
            go.wait(30)
            super().__init__(**keywords)

        def close(self, *args):
            super().close(*args)
            closed.set()

    def ask():
        called.wait(30)
        cancel.set()

    threading.Thread(target=ask).start()
    with pytest.raises(RunCancelled):
        with transient(Dask(), provisioner=ClusterClass(Slow, THREADS), code=False, cancel=cancel):
            pass
    go.set()
    assert closed.wait(30)


def test_the_async_face_works_with_a_blocking_class(made):
    async def main():
        async with transient(Dask(), provisioner=ClusterClass(made, THREADS), code=False) as cluster:
            return await cluster.client.submit(int, 5)

    assert asyncio.run(main()) == 5
