"""Worker groups grow and shrink; what leaves takes no data along, and what was retired stays away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from distributed import wait

from daskbridge import Dask, WorkerGroup, transient
from daskbridge.errors import ProvisioningError


@pytest.fixture(scope="module")
def cluster(flavour):
    topology = Dask(
        workers=WorkerGroup(1, threads=1),
        worker_groups={"gpu": WorkerGroup(1, threads=2, abstract_resources={"GPU": 1})},
        min_workers=2,
    )
    with transient(topology, code=False) as cluster:
        yield cluster


@pytest.fixture
def scaled(cluster, eventually, names):
    """Scale a group and wait until its names are as wanted."""

    def scale(number, wanted, group="default"):
        cluster.scale(number, group)
        eventually(lambda: {name for name in names(cluster) if name.startswith(group)}, wanted)

    return scale


def test_a_group_grows_and_shrinks_and_no_name_is_given_twice(cluster, scaled, names):
    def default(*numbers):
        return lambda found: found == {f"default-{number}" for number in numbers}

    scaled(3, default(0, 1, 2))
    scaled(1, default(0))
    scaled(2, default(0, 3))
    scaled(1, default(0))
    assert "gpu-0" in names(cluster)


def test_a_group_that_grows_has_its_own_threads_and_resources(cluster, scaled):
    scaled(2, lambda found: found == {"gpu-0", "gpu-1"}, "gpu")
    workers = cluster.client.scheduler_info(n_workers=-1)["workers"].values()
    assert {worker["nthreads"] for worker in workers if worker["name"].startswith("gpu")} == {2}
    task = cluster.client.submit(os.getpid, resources={"GPU": 1}, workers=["gpu-1"], pure=False)
    assert task.result(timeout=20)
    scaled(1, lambda found: found == {"gpu-0"}, "gpu")


def test_data_of_a_worker_that_goes_moves_to_the_others(cluster, scaled, names):
    scaled(2, lambda found: len(found) == 2)
    (goes,) = names(cluster) - {"default-0", "gpu-0"}
    once = cluster.client.submit(lambda: (os.getpid(), "kept"), workers=[goes], allow_other_workers=True)
    wait(once, timeout=20)
    pid = once.result()[0]
    scaled(1, lambda found: found == {"default-0"})
    assert once.result(timeout=20) == (pid, "kept")


def test_a_group_may_have_no_workers_for_a_while(cluster, scaled):
    scaled(0, lambda found: not found, "gpu")
    waits = cluster.client.submit(os.getpid, resources={"GPU": 1}, pure=False)
    scaled(1, lambda found: len(found) == 1, "gpu")
    assert waits.result(timeout=20)


def test_a_worker_that_the_user_retires_stays_away(flavour, eventually, names):
    with transient(Dask(workers=WorkerGroup(2, threads=1), min_workers=2), code=False) as cluster:
        cluster.client.retire_workers(names=["default-1"], close_workers=True)
        eventually(lambda: names(cluster) == {"default-0"})
        eventually(lambda: "default-1" not in _wanted(cluster))
        cluster.scale(2)
        eventually(lambda: names(cluster) == {"default-0", "default-2"})


def _wanted(cluster):
    """Names of workers whose processes are there, by their working directories."""
    import psutil

    supervisor = psutil.Process(cluster.client.run_on_scheduler(os.getppid))
    directory = os.fspath(cluster._engine.handle._directory)
    places = []
    for child in supervisor.children():
        with suppress(psutil.Error):  # it has just ended
            places.append(Path(child.cwd()))
    return {place.name for place in places if os.fspath(place).startswith(directory)}


def test_a_group_that_is_not_there_can_t_be_scaled(cluster):
    with pytest.raises(ProvisioningError, match="no worker group 'cpu'; there are: default, gpu"):
        cluster.scale(2, "cpu")
