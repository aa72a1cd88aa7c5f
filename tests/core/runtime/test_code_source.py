"""Which code a run ships, and what is refused before anything starts."""

from __future__ import annotations

import fcntl
import threading

import dask.config
import psutil
import pytest

from daskbridge import CodeSpec, Dask, WorkerGroup, transient
from daskbridge.code import _archive, build_bundle
from daskbridge.errors import BundleError, RunCancelled
from daskbridge.node.compress import FORMATS


def test_a_file_loaded_under_a_foreign_name_travels_under_that_name(drive):
    driver = drive(
        """
        import importlib.util
        spec = importlib.util.spec_from_file_location("unusual_prefix_77", PROJECT / "dag.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["unusual_prefix_77"] = module
        spec.loader.exec_module(module)
        report(found=module.crunch(3))
        """,
        dag="""
        import os
        from pathlib import Path
        import helper
        from daskbridge import Dask, on_dask

        def square(x):
            return helper.times(x, x)

        @on_dask(Dask())
        def crunch(n):
            from distributed import get_client
            here = Path(__file__).parent
            os.rename(here, here.with_name("hidden"))
            client = get_client()
            return client.gather(client.map(square, range(n)))
        """,
        helper="def times(a, b):\n    return a * b\n",
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"found": [0, 1, 4]}


def test_code_goes_through_a_store_where_one_is_set(drive, tmp_path):
    driver = drive(
        """
        import dask.config, helper
        dask.config.set({"daskbridge.bundle-store": "file://" + str(PROJECT.with_name("store"))})
        with transient(Dask(), code=PROJECT) as cluster:
            hide()
            from daskbridge.code import receipts
            found = cluster._loop.submit(receipts, cluster._engine.connection.client).result()
            report(found=cluster.client.submit(helper.one).result(), sources=[r.source for r in found])
        """,
        helper="def one():\n    return 1\n",
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told["found"] == 1
    assert [path.suffixes[-2:] for path in (tmp_path / "store").iterdir()] == [[".tar", f".{FORMATS[0][4:]}"]]


@pytest.fixture
def nothing_started():
    before = nodes()
    yield
    assert nodes() <= before


def nodes():
    """Return the processes below this one, but for the one that is warm for the next cluster."""
    children = psutil.Process().children()
    warm = [child for child in children if any("local_zygote" in part for part in child.cmdline())]
    return {*psutil.Process().children(recursive=True)} - {*warm}


def start(code):
    with transient(Dask(), code=code):
        pass


@pytest.mark.parametrize("root", ["/", "~"], ids=["root", "home"])
def test_far_more_than_a_project_is_refused(nothing_started, root):
    from pathlib import Path

    with pytest.raises(BundleError, match="far more than a project"):
        start(Path(root).expanduser())


def test_an_empty_bundle_is_refused_with_what_was_left_out(nothing_started, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".env").write_text("SECRET=1")
    with pytest.raises(BundleError, match=r"no file ships from the roots .*\.env \(secret"):
        start(tmp_path / "empty")


def test_a_bundle_that_was_given_stays_its_owner_s(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "given.py").write_text("X = 1")
    with build_bundle(CodeSpec([tmp_path / "project"])) as bundle:
        with (
            pytest.raises(Exception, match="start_timeout"),
            transient(Dask(workers=WorkerGroup(1), start_timeout=0.01), code=bundle),
        ):
            pass
        assert bundle._lease
    assert not bundle._lease


def test_a_wrong_store_is_refused_before_anything_starts(nothing_started, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "given.py").write_text("X = 1")
    with dask.config.set({"daskbridge.bundle-store": "nosuch://key:secret@host"}):
        with pytest.raises(BundleError, match="the store refused") as caught:
            start(tmp_path / "project")
    assert "secret" not in "".join(__import__("traceback").format_exception(caught.value))


def test_a_cancel_while_the_code_is_packed_ends_the_run_and_leaves_nothing_half_packed(
    nothing_started, tmp_path, monkeypatch
):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "job.py").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shelf, packing, look = tmp_path / "daskbridge/v1/packed", threading.Event(), threading.Event()
    add = _archive._Writing.add

    def adding(writing, file):
        packing.set()
        assert look.wait(60)
        return add(writing, file)

    monkeypatch.setattr(_archive._Writing, "add", adding)
    with pytest.raises(RunCancelled, match="cancelled in step 'check'"):
        with transient(Dask(), code=tmp_path / "project", cancel=packing):
            pass
    look.set()
    for thread in threading.enumerate():
        if thread.name == "daskbridge-call":
            thread.join(60)
    [archive] = shelf.glob("*.tar.*")
    assert not [*shelf.glob("*.part")]
    with archive.open("rb") as file:  # nobody holds it
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_cancel_that_is_set_already_starts_nothing(nothing_started, tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(RunCancelled, match="before anything began"):
        with transient(Dask(), code=tmp_path / "is not even there", cancel=cancel):
            pass
