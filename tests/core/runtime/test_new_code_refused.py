"""Where new code can't go live: an error that says why, what to do, and which code the nodes have then."""

from __future__ import annotations

import dask.config
import pytest
from tests.editing import told_by

from daskbridge import CodeSpec, Dask, transient
from daskbridge.code import InstalledCode, build_bundle
from daskbridge.errors import BundleError

FAILURES = """
    import daskbridge.code._limits as limits
    from daskbridge.code import build_bundle

    with transient(Dask(workers=WorkerGroup(2)), code=PROJECT) as cluster:
        told, first = {}, pids(cluster)
        edit(2)
        most, limits.MAX_ARCHIVE = limits.MAX_ARCHIVE, 10
        told["too large"] = raised(cluster.sync, policy="restart")
        limits.MAX_ARCHIVE = most
        bundle = build_bundle(CodeSpec([PROJECT]), directory=PROJECT.parent)
        bundle.archive.unlink()
        told["gone"] = raised(cluster.sync, bundle, policy="restart")
        os.rename(PROJECT / "helper.py", PROJECT / "helper.txt")
        os.rename(PROJECT / "main.py", PROJECT / "main.txt")
        (PROJECT / ".daskbridgeignore").write_text("*")
        told["empty"] = raised(cluster.sync, policy="restart")
        os.rename(PROJECT / "helper.txt", PROJECT / "helper.py")
        os.rename(PROJECT / "main.txt", PROJECT / "main.py")
        (PROJECT / ".daskbridgeignore").unlink()
        told["same processes"] = pids(cluster) == first
        told["old code"] = versions(cluster)
        told["old submit"] = cluster.client.submit(ask).result()
        told["scheduler"] = cluster.client.run_on_scheduler(
            lambda dask_scheduler: [
                name for name in [*dask_scheduler.plugins, *dask_scheduler.handlers] if "next" in name
            ]
        )
        cluster.sync(policy="restart")
        told["then"] = versions(cluster)
    report(**told)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return told_by(tmp_path_factory.mktemp("failures"), FAILURES)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("too large", "BundleError", "go through the scheduler"),
        ("gone", "CodeNotDelivered", "all nodes still have"),
        ("empty", "BundleError", "no file ships"),
    ],
)
def test_what_can_not_be_packed_or_installed_is_an_error(told, name, kind, words):
    assert told[name][0] == kind
    assert words in told[name][1]


def test_a_failure_before_the_exchange_leaves_the_old_code_running_in_the_same_processes(told):
    assert told["same processes"] is True
    assert told["old code"] == [[1, 1], 1]
    assert told["old submit"] == 1
    assert told["scheduler"] == []


def test_the_next_try_succeeds(told):
    assert told["then"] == [[2, 2], 2]


def module(directory, text):
    directory.mkdir()
    (directory / "refused_helper.py").write_text(text)
    return directory


def test_a_run_without_code_has_nothing_to_exchange(tmp_path):
    with transient(Dask(), code=False) as cluster, pytest.raises(BundleError, match="code=False") as caught:
        cluster.sync(module(tmp_path / "new", "V = 2"), policy="restart")
    assert "leave out code=" in caught.value.__notes__[0]


def test_code_of_the_image_can_not_be_exchanged(tmp_path):
    installed = InstalledCode(["daskbridge"])
    with (
        transient(Dask(), code=installed) as cluster,
        pytest.raises(BundleError, match="InstalledCode") as caught,
    ):
        cluster.sync(policy="restart")
    assert "build a new image" in caught.value.__notes__[0]


@pytest.mark.parametrize("code", [False, InstalledCode(["daskbridge"])], ids=["nothing", "of the image"])
def test_code_that_does_not_ship_can_not_take_the_place_of_code_that_does(tmp_path, code):
    with transient(Dask(), code=module(tmp_path / "old", "V = 1")) as cluster:
        with pytest.raises(BundleError, match="expected code that ships"):
            cluster.sync(code, policy="restart")


def test_blocks_that_share_a_cluster_keep_its_code_and_the_last_one_may_exchange_it(tmp_path):
    old, new = module(tmp_path / "old", "V = 1"), module(tmp_path / "new", "V = 2")

    def ask():
        import refused_helper

        return refused_helper.V

    with transient(Dask(), code=old, scope="process") as one:
        with transient(Dask(), code=old, scope="process") as other:
            with pytest.raises(
                BundleError, match=r"1 other block\(s\) use this cluster: nothing was changed"
            ):
                one.sync(new, policy="restart")
            assert other.client.submit(ask, pure=False).result() == 1
        assert [receipt.role for receipt in one.sync(new, policy="restart")] == ["scheduler", "worker"]
        assert one.client.submit(ask, pure=False).result() == 2
        with transient(Dask(), code=new, scope="process") as third:
            assert third.client.submit(ask, pure=False).result() == 2
        assert one.client.submit(ask, pure=False).result() == 2


def test_a_bundle_stays_its_owners(tmp_path):
    old = module(tmp_path / "old", "V = 1")
    with build_bundle(CodeSpec([module(tmp_path / "new", "V = 2")])) as new:
        with dask.config.set({"daskbridge.bundle-store": f"file://{tmp_path}/store"}):
            with transient(Dask(), code=old) as cluster:
                assert len(cluster.sync(new, policy="restart")) == 2
        assert new.archive.exists()
