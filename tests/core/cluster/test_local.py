"""Local clusters: what is asked of nodes arrives there, and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile

import dask.config
import pytest

from daskbridge import Dask, Resources, Scheduler, WorkerGroup, transient
from daskbridge.errors import ProvisioningError, TopologyError


def look():
    """Return a function that tells what a worker has; nested, so that it travels by value."""

    def found(dask_worker):
        import os

        worker = dask_worker
        names = ("MINE", "SECRET_OF_THE_OTHER", "PYTHONPATH", "DASK_SCHEDULER_ADDRESS", "HOME")
        return {
            "name": worker.name,
            "threads": worker.state.nthreads,
            "memory": worker.memory_manager.memory_limit,
            "resources": worker.state.total_resources,
            "environ": {name: os.environ.get(name) for name in names},
            "directory": worker.local_directory,
        }

    return found


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    spill = tmp_path_factory.mktemp("spill")
    topology = Dask(
        scheduler=Scheduler(env={"SCHEDULERS": "own"}),
        workers=WorkerGroup(threads=3, resources=Resources(memory="500Mi"), env={"MINE": "a"}),
        worker_groups={
            "big": WorkerGroup(
                2, env={"SECRET_OF_THE_OTHER": "b"}, abstract_resources={"GPU": 2}, local_directory=str(spill)
            )
        },
        min_workers=3,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.fspath(spill))
        patch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://elsewhere:1")
        with transient(topology, code=False) as cluster:
            told = {node["name"]: node for node in cluster.client.run(look()).values()}
            told["scheduler"] = cluster.client.run_on_scheduler(
                lambda: __import__("os").environ.get("SCHEDULERS")
            )
            told["arguments"] = _arguments()
            told["spill"] = str(spill)
            told["logs"] = cluster.logs()
            told["notes"] = cluster.notes
            yield told


def _arguments():
    import psutil

    return " ".join(part for child in psutil.Process().children(recursive=True) for part in child.cmdline())


def test_every_group_starts_under_its_name(nodes):
    assert {name for name in nodes if "-" in name} == {"default-0", "big-0", "big-1"}


def test_threads_memory_and_resources_are_the_group_s(nodes):
    assert (nodes["default-0"]["threads"], nodes["default-0"]["memory"]) == (3, 500 * 2**20)
    assert (nodes["default-0"]["resources"], nodes["big-1"]["resources"]) == ({}, {"GPU": 2})


def test_environment_variables_reach_their_own_group_and_no_other(nodes):
    assert nodes["default-0"]["environ"]["MINE"] == "a"
    assert nodes["default-0"]["environ"]["SECRET_OF_THE_OTHER"] is None
    assert nodes["big-0"]["environ"]["SECRET_OF_THE_OTHER"] == "b"
    assert nodes["scheduler"] == "own"


def test_the_driver_s_environment_arrives_without_its_code_and_its_clusters(nodes):
    environ = nodes["default-0"]["environ"]
    assert (environ["PYTHONPATH"], environ["DASK_SCHEDULER_ADDRESS"]) == (None, None)
    assert environ["HOME"] == os.environ["HOME"]


def test_values_of_the_environment_are_in_no_process_s_arguments(nodes):
    assert "local_zygote" in nodes["arguments"]
    assert "SECRET_OF_THE_OTHER" not in nodes["arguments"]


def test_workers_spill_where_the_group_says(nodes):
    assert nodes["big-0"]["directory"].startswith(nodes["spill"])


def test_the_logs_of_every_node_are_there(nodes):
    assert "Scheduler at:" in nodes["logs"]["scheduler"]
    assert "Start worker at:" in nodes["logs"]["default-0"]
    assert {*nodes["logs"]} == {"scheduler", "default-0", "big-0", "big-1"}


@pytest.mark.parametrize(
    ("config", "environ", "seconds"),
    [
        ({}, None, 600),
        ({"distributed": {"scheduler": {"no_workers_timeout": "5s"}}}, None, 5),
        ({"distributed": {"scheduler": {"no-workers-timeout": None}}}, None, None),
        ({"distributed": {"scheduler": {"allowed-failures": 1}}}, "7s", 7),
    ],
    ids=["nobody says", "the topology says", "the topology says never", "the user's configuration says"],
)
def test_a_task_that_nobody_can_run_is_not_waited_for_longer_than_somebody_says(
    monkeypatch, config, environ, seconds
):
    if environ:
        monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT", environ)
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": environ}),
        transient(Dask(config=config), code=False) as cluster,
    ):
        found = cluster.client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.no_workers_timeout)
    assert found == seconds


def test_what_local_can_t_do_as_asked_is_said():
    with transient(Dask(workers=WorkerGroup(image="ghcr.io/me/mine:1")), code=False) as cluster:
        assert cluster.notes == (
            "workers.image='ghcr.io/me/mine:1': local nodes run in the driver's own environment",
        )


def test_what_local_can_t_do_is_an_error_at_definition():
    groups = {"more": WorkerGroup(1, max_workers=2)}
    with pytest.raises(TopologyError, match="more: max_workers was given, and there are 2 worker groups"):
        transient(Dask(worker_groups=groups))


def test_nodes_keep_their_files_where_dask_s_configuration_says(tmp_path):
    with transient(Dask(config={"temporary-directory": str(tmp_path)}), code=False) as cluster:
        (worker,) = cluster.client.run(lambda dask_worker: dask_worker.local_directory).values()
        scheduler = cluster.client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.local_directory)
    assert {worker.startswith(str(tmp_path)), scheduler.startswith(str(tmp_path))} == {True}


def test_a_cluster_leaves_nothing_among_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with transient(Dask(), code=False) as cluster:
        (worker,) = cluster.client.run(lambda: __import__("tempfile").gettempdir()).values()
        assert worker.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_an_error_at_definition():
    with pytest.raises(TopologyError, match="unknown option 'exakt'.*did you mean 'exact'"):
        transient(Dask(provisioner_options={"local": {"exakt": True}}))


def test_a_worker_that_can_t_start_ends_the_start_with_its_reason(tmp_path):
    (tmp_path / "file").write_text("")
    topology = Dask(workers=WorkerGroup(local_directory=str(tmp_path / "file" / "below")))
    with pytest.raises(ProvisioningError) as caught, transient(topology, code=False):
        pass
    assert "worker default-0 could not start" in str(caught.value)
    assert "NotADirectoryError" in str(caught.value)


def test_workers_that_are_given_up_while_they_start_end_no_run():
    with transient(Dask(), code=False) as cluster:
        cluster.scale(3)
        cluster.scale(1)
        cluster.scale(2)
        cluster.client.wait_for_workers(2, timeout=60)
        workers = cluster.client.scheduler_info(n_workers=-1)["workers"].values()
        assert {worker["name"] for worker in workers} == {"default-0", "default-3"}
        assert cluster.client.submit(int, 1).result() == 1


def test_the_topology_of_a_large_cluster_can_be_tried_out(caplog):
    large = Dask(workers=WorkerGroup(500, resources=Resources(memory="4Ti")), min_workers=400)
    with transient(large, code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1
    assert [note.partition(":")[0] for note in cluster.notes] == ["default", "default", "min_workers"]
    assert "400 were to be waited for, 1 are" in cluster.notes[-1]


def test_a_body_may_remove_the_cluster_s_directory(caplog):
    with transient(Dask(), code=False) as cluster:
        shutil.rmtree(cluster._engine.handle._directory)
    assert caplog.records == []


def test_a_directory_that_can_t_be_removed_is_said(tmp_path, caplog):
    with transient(Dask(), code=False) as cluster:
        directory = cluster._engine.handle._directory
        directory.rename(tmp_path / "moved")
        directory.symlink_to(tmp_path)  # rmtree refuses it
    directory.unlink()
    (warning,) = caplog.records
    assert f"directory {directory} could not be removed: " in warning.getMessage()


def test_inside_a_kubernetes_pod_local_must_be_meant(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with (
        pytest.raises(ProvisioningError, match="inside a Kubernetes pod") as caught,
        transient(Dask(), code=False),
    ):
        pass
    known = caught.value.__notes__[0].partition("one of ")[2].partition(", or")[0].split(", ")
    assert {"cluster-class", "existing", "local"} <= {*known}
    with transient(Dask(), provisioner="local", code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1
