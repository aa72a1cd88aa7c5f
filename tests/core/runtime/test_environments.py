"""Nodes whose environment breaks pickling: told in a table, and never a crash."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from daskbridge.cluster._versions import mine, mismatch

REPORTED = {"host": {}, "packages": {"python": "3.11.7.final.0", "dask": "2026.8.0", "numpy": "2.4.6"}}
DRIVER = {"python": "3.11", "dask": "2026.8.0", "numpy": "2.4.6"}


def node(**packages):
    return {"packages": REPORTED["packages"] | packages}


def test_equal_nodes_and_patch_releases_of_python_match():
    workers = {"tcp://w:1": node(python="3.11.9.final.0")}
    assert mismatch(DRIVER, {"scheduler": REPORTED, "workers": workers}) is None


def test_a_package_that_only_one_side_has_matches():
    assert (
        mismatch(DRIVER, {"scheduler": node(numpy=None), "workers": {"tcp://w:1": node(pandas="3.0")}})
        is None
    )


def test_a_mismatch_is_a_table():
    workers = {"tcp://w:1": node(python="3.12.1.final.0"), "tcp://w:2": node(dask="2025.1.0")}
    error = mismatch(DRIVER, {"scheduler": REPORTED, "workers": workers})
    assert str(error).splitlines() == [
        "the nodes' environment differs in what breaks pickling",
        "package | driver   | scheduler | workers (2)       ",
        "dask    | 2026.8.0 | 2026.8.0  | 2025.1.0, 2026.8.0",
        "python  | 3.11     | 3.11      | 3.11, 3.12        ",
    ]
    assert error.__notes__[0].startswith("hint: use one image for all nodes")


def test_this_process_knows_what_counts_of_it():
    assert {"python", "dask", "distributed", "cloudpickle", "msgpack"} <= set(mine())


@pytest.fixture(scope="module")
def other():
    """Give a Python of another minor version that has distributed."""
    python = os.environ.get("DASKBRIDGE_OTHER_PYTHON")
    if not python:
        pytest.skip(
            "needs a second Python: DASKBRIDGE_OTHER_PYTHON names one of another minor with distributed"
        )
    return str(Path(python).absolute())


#: A driver that starts a local cluster, lets a foreign worker join and says what came of it.
LATE = """
    import helper, subprocess
    with transient(Dask(workers=WorkerGroup(1))) as cluster:
        command = [OTHER, "-P", "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
        command += ["--name", "foreign", "--host", "127.0.0.1", "--no-dashboard", *NANNY]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        log = open(PROJECT.with_name("worker.log"), "wb")
        worker = subprocess.Popen(command, env=environ, cwd=PROJECT.parent, stdout=log, stderr=log)
        futures = cluster.client.map(helper.slow, range(30), pure=False)
        ended = worker.wait(60)
        report(ended=ended, hosts=sorted(set(cluster.client.gather(futures))),
               workers=[w["name"] for w in cluster.client.scheduler_info()["workers"].values()],
               refused=cluster._engine.connection.arrivals.refused)
"""


@pytest.mark.parametrize("nanny", ["--nanny", "--no-nanny"])
def test_a_late_worker_of_another_python_is_turned_away_before_it_runs_anything(
    drive, other, tmp_path, nanny
):
    driver = drive(
        LATE.replace("OTHER", repr(other)).replace("*NANNY", repr(nanny)),
        helper="import sys, time\ndef slow(_):\n    time.sleep(0.1)\n    return sys.version_info[1]\n",
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    log = (tmp_path / "worker.log").read_text()
    assert code == 0, errors
    assert told["workers"] == ["default-0"]
    assert len(told["hosts"]) == 1
    assert told["ended"] >= 0, f"the worker crashed:\n{log}"
    assert "foreign was turned away: its environment differs: python 3." in told["refused"][0]


def test_a_cluster_of_another_python_is_refused_with_the_table(other, dask_program, drive, tmp_path):
    file = tmp_path / "scheduler.json"
    quiet = ("--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
    dask_program("dask_scheduler", *quiet, "--scheduler-file", str(file), directory=tmp_path, python=other)
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
    driver = drive(f"with transient(Dask(), provisioner=Existing(scheduler_file={str(file)!r})):\n    pass")
    code, errors = driver.wait()
    assert code == 1
    assert "EnvironmentMismatch: the nodes' environment differs in what breaks pickling" in errors
    assert "python  | 3." in errors
