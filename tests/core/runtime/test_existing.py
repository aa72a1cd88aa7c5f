"""A cluster that somebody else owns: used, and left as it was found."""

from __future__ import annotations

import json

import pytest
from distributed import Client
from tests.nodes import dask_nodes

from daskbridge import ClusterRef, Dask, Existing, Resources, WorkerGroup, transient
from daskbridge.errors import BundleError, ProvisioningError

PATIENCE = 60


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Run a scheduler and a worker as their own users would; give the scheduler file."""
    with dask_nodes(tmp_path_factory.mktemp("existing")) as made:
        made.scheduler()
        made.worker("theirs")
        yield made.file


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


def seen(address):
    """Tell what a newcomer finds on the cluster."""
    with Client(address, set_as_default=False) as client:

        def look(dask_scheduler):
            import sys

            plugins = [name for name in dask_scheduler.plugins if "daskbridge" in name]
            plugins += [name for name in dask_scheduler.worker_plugins if "daskbridge" in name]
            handlers = [name for name in dask_scheduler.handlers if "alive" in name]
            return plugins, handlers, [path for path in sys.path if "daskbridge" in path]

        def look_worker():
            import sys

            return [path for path in sys.path if "daskbridge" in path], "shared_helper" in sys.modules

        return client.run_on_scheduler(look), list(client.run(look_worker).values())


def test_a_shared_cluster_gets_the_code_and_is_left_as_it_was(scheduler, tmp_path):
    address = json.loads(scheduler.read_text())["address"]
    for value in (1, 2):
        code = project(tmp_path, f"p{value}", value)
        with transient(Dask(), provisioner=Existing(scheduler_file=str(scheduler)), code=code) as cluster:
            code.rename(tmp_path / f"hidden{value}")
            assert cluster.scheduler_address == address
            assert not cluster.ref.exclusive
            assert cluster.client.submit(by_value(), 0, pure=False).result() == value
        assert seen(address) == (([], [], []), [([], False)])


def test_a_second_digest_on_a_shared_cluster_in_use_is_refused_with_advice(scheduler, tmp_path):
    first, second = project(tmp_path, "a", 1), project(tmp_path, "b", 2)
    provisioner = Existing(scheduler_file=str(scheduler))
    with transient(Dask(), provisioner=provisioner, code=first) as cluster:
        with pytest.raises(BundleError) as caught, transient(Dask(), provisioner=provisioner, code=second):
            pass
        assert "use a cluster of your own, or wait" in str(caught.value)
        assert cluster.client.submit(by_value(), 1, pure=False).result() == 1


def test_two_runs_with_one_digest_share_it_until_the_last_is_done(scheduler, tmp_path):
    code = project(tmp_path, "c", 3)
    provisioner = Existing(scheduler_file=str(scheduler))
    with transient(Dask(), provisioner=provisioner, code=code) as outer:
        with transient(Dask(), provisioner=provisioner, code=code) as inner:
            assert inner.client.submit(by_value(), 2, pure=False).result() == 3
        assert outer.client.submit(by_value(), 3, pure=False).result() == 3


def test_a_client_that_was_there_before_the_run_stays_and_one_of_the_body_s_own_is_closed(scheduler):
    provisioner = Existing(scheduler_file=str(scheduler))
    with Client(json.loads(scheduler.read_text())["address"], set_as_default=False) as mine:
        for _ in range(2):
            with transient(Dask(), provisioner=provisioner, code=False):
                with transient(Dask(), provisioner=provisioner, code=False):
                    left = Client()
                assert left.status == "running"
            assert (mine.submit(int, 4).result(), left.status) == (4, "closed")


def test_what_a_running_cluster_has_decided_is_said(scheduler):
    topology = Dask(workers=WorkerGroup(resources=Resources(cpu=2)))
    with transient(topology, provisioner=Existing(scheduler_file=str(scheduler)), code=False) as cluster:
        assert cluster.notes == ("workers.resources.cpu=2: the running cluster has its own",)


def test_waiting_for_more_workers_than_there_are_ends_with_who_is_there(scheduler):
    topology = Dask(workers=WorkerGroup(5), min_workers=5, start_timeout=1)
    with (
        pytest.raises(
            ProvisioningError, match=r"not ready within start_timeout=1 s; .*: workers ready: 1, needed: 5"
        ),
        transient(topology, provisioner=Existing(scheduler_file=str(scheduler)), code=False),
    ):
        pass


def test_another_process_attaches_by_the_reference(scheduler):
    with transient(Dask(), provisioner=Existing(scheduler_file=str(scheduler)), code=False) as cluster:
        text = cluster.ref.to_json()
    ref = ClusterRef.from_json(text)
    with transient(Dask(), provisioner=Existing(ref.scheduler_address), code=False) as cluster:
        assert cluster.client.submit(int, 4).result() == 4


def test_a_scheduler_with_tls_is_an_error_that_names_what_is_missing():
    with (
        pytest.raises(
            ProvisioningError, match="tls://127.0.0.1:9 speaks TLS, and this process has no cert"
        ) as caught,
        transient(Dask(), provisioner=Existing("tls://127.0.0.1:9")),
    ):
        pass
    assert "distributed.comm.tls" in caught.value.__notes__[0]


def test_an_unreachable_scheduler_is_an_error_that_names_it():
    import dask.config

    with (
        dask.config.set({"daskbridge.connect-timeout": 1}),
        pytest.raises(
            ProvisioningError, match="no scheduler answered at tcp://127.0.0.1:9 within 1 s"
        ) as caught,
        transient(Dask(), provisioner=Existing("127.0.0.1:9"), code=False),
    ):
        pass
    assert caught.value.__notes__[0].startswith("hint: check that it runs")


def test_without_an_address_nothing_starts():
    with pytest.raises(ProvisioningError, match="needs the address of a running scheduler"):
        with transient(Dask(), provisioner="existing", code=False):
            pass
