"""An adaptive group follows the load between its two numbers."""

from __future__ import annotations

import os

import pytest

from daskbridge import Dask, WorkerGroup, transient
from daskbridge.errors import ProvisioningError, TopologyError

QUICK = {"distributed": {"adaptive": {"interval": "100ms", "wait-count": 2, "target-duration": "10ms"}}}


@pytest.fixture(scope="module")
def cluster(flavour):
    topology = Dask(workers=WorkerGroup(1, max_workers=3, threads=1), config=QUICK)
    with transient(topology, code=False) as cluster:
        yield cluster


def test_an_adaptive_group_grows_under_load_and_shrinks_again(cluster, eventually, names, tmp_path):
    def until(file):
        import time
        from pathlib import Path

        end = time.monotonic() + 60
        while not Path(file).exists() and time.monotonic() < end:
            time.sleep(0.02)
        return file

    file = tmp_path / "enough"
    tasks = cluster.client.map(until, [str(file)] * 20, pure=False)
    eventually(lambda: len(names(cluster)) == 3)
    file.touch()
    assert cluster.client.gather(tasks) == [str(file)] * 20
    del tasks
    eventually(lambda: len(names(cluster)) == 1)


def test_an_adaptive_group_can_t_be_scaled_by_hand(cluster):
    with pytest.raises(
        ProvisioningError, match="'default' adapts by itself between 1 and 3 workers"
    ) as caught:
        cluster.scale(2)
    assert "leave out max_workers" in "\n".join(caught.value.__notes__)


def test_an_adaptive_group_has_its_least_number_again_after_its_worker_was_retired(
    cluster, eventually, names
):
    before = names(cluster)
    cluster.client.retire_workers(names=list(before), close_workers=True)
    eventually(lambda: len(names(cluster)) == 1 and not names(cluster) & before)
    assert cluster.client.submit(os.getpid, pure=False).result(timeout=20)


def test_a_worker_of_an_adaptive_group_that_dies_comes_again(cluster, eventually, names, by_name):
    before = by_name(cluster, os.getpid)
    for pid in before.values():
        os.kill(pid, 9)
    restarted = [f"worker {name} " for name in before]
    eventually(lambda: all(words in cluster.logs()["scheduler"] for words in restarted))
    eventually(lambda: names(cluster) == {*before})
    assert not {*by_name(cluster, os.getpid).values()} & {*before.values()}


def test_only_the_one_group_of_a_local_cluster_adapts():
    groups = {"gpu": WorkerGroup(1)}
    with pytest.raises(TopologyError, match="default: max_workers was given, and there are 2 worker groups"):
        transient(Dask(workers=WorkerGroup(1, max_workers=2), worker_groups=groups))
