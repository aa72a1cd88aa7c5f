"""Clusters of one process are born from one warm process, as long as they can be."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.config
import psutil
import pytest
from distributed import Security

from daskbridge import Dask, Scheduler, WorkerGroup, transient
from daskbridge.errors import ClusterLost, ProvisioningError, RunCancelled


@pytest.fixture
def tell():
    """Start a cluster; return its supervisor's id and what a function says on its worker."""

    def ask(function=os.getpid, topology=None):
        with transient(topology or Dask(), code=False) as cluster:
            answer = cluster.client.submit(function, pure=False).result(timeout=20)
            return cluster.client.run_on_scheduler(os.getppid), answer

    return ask


def variable(name):
    return lambda: os.environ.get(name)


def test_clusters_one_after_the_other_have_one_supervisor_that_imports_once(flavour, tell):
    found = {tell()[0] for _ in range(3)}
    assert len(found) == 1


def test_the_driver_s_environment_of_the_moment_reaches_the_nodes(flavour, tell, monkeypatch, tmp_path):
    monkeypatch.setenv("OF_THE_MOMENT", "one")
    first = tell(variable("OF_THE_MOMENT"))
    monkeypatch.setenv("OF_THE_MOMENT", "two")
    second = tell(variable("OF_THE_MOMENT"))
    monkeypatch.delenv("OF_THE_MOMENT")
    third = tell(variable("OF_THE_MOMENT"))
    assert [first[1], second[1], third[1]] == ["one", "two", None]
    assert first[0] == second[0] == third[0]


def test_a_start_that_fails_leaves_no_process_where_none_is_to_stay_warm(flavour):
    def warm():
        return {child for child in psutil.Process().children() if "local_zygote" in " ".join(child.cmdline())}

    before = warm()
    topology = Dask(workers=WorkerGroup(10_000), provisioner_options={"local": {"exact": True}})
    with dask.config.set({"daskbridge.local-warm": 0}):
        with pytest.raises(ProvisioningError, match="asked exactly"):
            with transient(topology, code=False):
                pass
    assert warm() <= before


def test_a_start_that_is_cancelled_while_certificates_are_made_does_not_spoil_the_next(monkeypatch):
    go, temporary = threading.Event(), Security.temporary

    def slow():
        go.wait(30)
        return temporary()

    class Later:
        looks = 0

        def is_set(self):
            self.looks += 1
            return self.looks > 5

    monkeypatch.setattr(Security, "temporary", slow)
    with dask.config.set({"daskbridge.local-warm": 7.5}):  # so that it is a process of this test's
        with pytest.raises(RunCancelled):
            with transient(Dask(), code=False, cancel=Later()):
                pass
        go.set()
        with transient(Dask(), code=False) as cluster:
            assert cluster.client.submit(int, 1).result() == 1


def test_what_python_remembers_of_the_environment_is_of_the_moment(flavour, tell, monkeypatch):
    def found():
        import tempfile
        import time

        return tempfile.gettempdir(), time.tzname[0]

    first = tell(found)[1]
    monkeypatch.setenv("TZ", "XYZ-3")
    second = tell(found)[1]
    assert second[1] == "XYZ"
    assert first[0] != second[0]  # each cluster has a directory of its own for temporary files


def test_a_variable_that_counts_from_the_start_needs_another_supervisor(flavour, tell, monkeypatch):
    first = tell(variable("OMP_NUM_THREADS"))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    second = tell(variable("OMP_NUM_THREADS"))
    assert (first[1], second[1]) == ("1", "2")
    assert first[0] != second[0]


def test_dask_s_configuration_in_the_environment_is_that_of_the_moment(flavour, tell, monkeypatch):
    def configured():
        import dask.config

        return dask.config.get("of-the-moment", None)

    before = tell(configured)[1]
    monkeypatch.setenv("DASK_OF_THE_MOMENT", "5")
    assert (before, tell(configured)[1]) == (None, 5)


@pytest.mark.parametrize("warm", [0, 0.05])
def test_a_supervisor_ends_once_it_has_been_idle_for_as_long_as_is_set(flavour, tell, gone, warm):
    with dask.config.set({"daskbridge.local-warm": warm}):
        first, second = tell()[0], tell()[0]
        assert gone([first, second])


def test_an_order_that_comes_just_when_the_supervisor_ends_is_carried_out(flavour, tell):
    pause = threading.Event()
    with dask.config.set({"daskbridge.local-warm": 0.1}):
        for number in range(6):
            assert tell()[1]
            pause.wait(0.08 + number * 0.006)


def test_two_event_loops_at_once_have_a_cluster_each(flavour, tell):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: tell(), range(3)))
    assert len({pid for _, pid in found}) == 3


def test_an_order_may_be_large(flavour, tell):
    text = "x" * 100_000
    many = {f"LARGE_{number}": text for number in range(10)}

    def found():
        return sum(len(value) for name, value in os.environ.items() if name.startswith("LARGE_"))

    assert tell(found, Dask(workers=WorkerGroup(env=many)))[1] == 1_000_000


def test_several_clusters_of_one_supervisor_do_not_disturb_each_other(flavour):
    with transient(Dask(), code=False) as one:
        with transient(Dask(scheduler=Scheduler(env={"OTHER": "1"})), code=False) as other:
            supervisors = {each.client.run_on_scheduler(os.getppid) for each in (one, other)}
            assert len(supervisors) == 1
        assert one.client.submit(int, 1).result(timeout=20) == 1


def _kill_supervisor_and_wait(cluster):
    os.kill(cluster.client.run_on_scheduler(os.getppid), 9)
    cluster.client.submit(int, pure=False, workers=["nobody"]).result(timeout=20)


def test_a_supervisor_that_is_killed_is_told_and_the_next_cluster_has_another(flavour, tell):
    with (
        pytest.raises(ClusterLost, match="supervises local clusters ended"),
        transient(Dask(), code=False) as cluster,
    ):
        _kill_supervisor_and_wait(cluster)
    assert tell()[1]


def test_an_interpreter_that_can_t_be_started_is_said(flavour, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    monkeypatch.setenv("LC_DASKBRIDGE_TEST", f"no interpreter, {flavour}")
    with pytest.raises(ProvisioningError, match="could not be started\n.*No such file.*nowhere"):
        with transient(Dask(), code=False):
            pass


def test_closed_clusters_leave_no_file_open(flavour, tell):
    tell()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        tell()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
