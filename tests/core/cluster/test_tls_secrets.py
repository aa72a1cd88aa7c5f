"""The private key of a cluster is in the memory of its processes, and nowhere else."""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from pathlib import Path

import dask.config
import psutil
import pytest

from daskbridge import Dask, Resources, WorkerGroup, transient
from daskbridge.errors import ProvisioningError

MARK = "PRIVATE KEY"


@pytest.fixture(scope="module")
def cluster(flavour, tmp_path_factory):
    """Start one whose temporary files are all in one place."""
    place = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", os.fspath(place))
        patch.setattr(tempfile, "tempdir", None)
        with transient(Dask(workers=WorkerGroup(2, threads=1), min_workers=2), code=False) as cluster:
            yield cluster


@pytest.fixture
def clean(cluster):
    """Assert that neither a private key nor a part of this cluster's is in a text."""
    key = cluster.security.tls_client_key
    assert MARK in key
    part = key.splitlines()[10]

    def assert_clean(text):
        text = os.fsdecode(text) if isinstance(text, bytes) else text
        assert MARK not in text
        assert part not in text

    return assert_clean


def processes(cluster):
    """Return the supervisor and all nodes."""
    supervisor = psutil.Process(cluster.client.run_on_scheduler(os.getppid))
    nodes = supervisor.children()
    assert len(nodes) >= 3
    return [supervisor, *nodes]


def test_the_key_is_in_nobody_s_dask_configuration(cluster, clean):
    def configured():
        import dask.config

        return repr(dask.config.config)

    clean(configured())
    clean(cluster.client.run_on_scheduler(configured))
    for found in cluster.client.run(configured).values():
        clean(found)


def test_the_key_is_in_no_representation(cluster, clean):
    engine = cluster._engine
    shown = [cluster, cluster.ref, engine.handle, engine.run, engine.handle._zygote, cluster.client]
    for each in [*shown, cluster.security, engine.run.equipment]:
        clean(repr(each))
        clean(str(each))
    clean(cluster.ref.to_json())
    clean(repr(vars(engine.run)))
    clean(cluster.client._repr_html_())


def test_the_key_is_in_no_process_s_arguments_or_environment(cluster, clean):
    for process in processes(cluster):
        for name in ("cmdline", "environ"):
            clean(Path(f"/proc/{process.pid}/{name}").read_bytes())

    def environ():
        return repr(dict(os.environ))

    for found in cluster.client.run(environ).values():
        clean(found)


def test_the_key_is_in_no_log(cluster, clean):
    logs = cluster.logs()
    assert {*logs} == {"scheduler", "default-0", "default-1"}
    for log in logs.values():
        clean(log)


def test_the_key_is_in_no_file_of_the_cluster(cluster, clean):
    found = [file for file in Path(tempfile.gettempdir()).rglob("*") if file.is_file()]
    assert any(file.name == "scheduler.log" for file in found)
    for file in found:
        clean(file.read_bytes())


def test_nobody_else_may_enter_the_cluster_s_directory(cluster):
    assert cluster._engine.handle._directory.stat().st_mode & 0o077 == 0


def test_the_key_is_not_in_what_travels_to_the_nodes(cluster, clean):
    equipment = cluster._engine.run.equipment
    plugins = [*equipment.scheduler, *equipment.workers]
    assert plugins
    for plugin in plugins:
        clean(pickle.dumps(plugin))


def test_the_key_is_in_no_event_and_in_nothing_that_the_scheduler_tells(cluster, clean):
    clean(repr(cluster.client.get_events()))
    clean(repr(cluster.client.scheduler_info(n_workers=-1)))
    clean(repr(cluster.client.get_versions()))


def test_the_key_is_in_no_error_or_log_of_a_start_that_failed(cluster, clean, tmp_path, caplog, flavour):
    (tmp_path / "file").write_text("")
    topology = Dask(workers=WorkerGroup(local_directory=str(tmp_path / "file" / "below")))
    with caplog.at_level(logging.DEBUG), pytest.raises(ProvisioningError) as caught:
        with transient(topology, code=False):
            pass
    clean(repr(caught.value))
    clean(repr(getattr(caught.value, "__notes__", ())))
    clean(caplog.text)


def test_a_cluster_that_is_closed_leaves_no_key_behind(flavour, clean, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with transient(Dask(workers=WorkerGroup(resources=Resources(memory="500Mi"))), code=False):
        assert list(tmp_path.iterdir())
        before = repr(dask.config.config)
    assert list(tmp_path.iterdir()) == []
    clean(before)
