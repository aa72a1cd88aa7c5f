"""Nodes whose environment breaks pickling: told in a table, and never a crash."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from distributed import Client
from tests.environments import distribution, other_version
from tests.nodes import dask_nodes

from daskbridge import Dask, transient
from daskbridge.cluster._versions import Environments, mine
from daskbridge.node.environment import breaking, comparable, differences

HOST = {"OS": "Linux", "machine": "x86_64"}
PACKAGES = {"python": "3.11.7.final.0", "dask": "2026.8.0", "numpy": "2.4.6", "toolz": "1.2.0"}
REPORTED = {"host": HOST, "packages": PACKAGES}
DRIVER = comparable(REPORTED)


def node(host=HOST, **packages):
    return {"host": host, "packages": PACKAGES | packages}


def compared(*workers, scheduler=REPORTED):
    named = {f"tcp://w:{number}": worker for number, worker in enumerate(workers)}
    return Environments.reported(DRIVER, {"scheduler": scheduler, "workers": named})


def test_equal_nodes_match():
    found = compared(REPORTED, REPORTED)
    assert (found.refusal(), found.warning()) == (None, None)


def test_a_package_that_only_one_side_has_matches():
    assert compared(node(pandas="3.0"), scheduler=node(numpy=None)).differing == []


@pytest.mark.parametrize(
    ("worker", "differing", "breaks"),
    [
        (node(python="3.12.1.final.0"), {"python": ("3.11.7", "3.12.1")}, True),
        (node(python="3.11.9.final.0"), {"python": ("3.11.7", "3.11.9")}, False),
        (node(python="3.11.0.candidate.2"), {"python": ("3.11.7", "3.11.0rc2")}, False),
        (node(dask="2025.1.0"), {"dask": ("2026.8.0", "2025.1.0")}, True),
        (node(numpy="1.26.0"), {"numpy": ("2.4.6", "1.26.0")}, True),
        (node(toolz="1.0.0"), {"toolz": ("1.2.0", "1.0.0")}, False),
        (node({"OS": "Linux", "machine": "arm64"}), {"platform": ("Linux x86_64", "Linux arm64")}, False),
        ({}, {"python": ("3.11.7", "unknown")}, True),
    ],
    ids=["minor", "patch", "candidate", "dask", "numpy", "toolz", "architecture", "nothing reported"],
)
def test_some_differences_break_pickling_and_others_need_not(worker, differing, breaks):
    found = differences(DRIVER, comparable(worker))
    assert found == differing
    assert breaking(found) == [*differing] * breaks


def test_what_breaks_pickling_is_an_error_with_a_table_of_it():
    workers = [node(python="3.12.1.final.0", toolz="1.0.0"), node(dask="2025.1.0"), REPORTED]
    error = compared(*workers).refusal()
    assert str(error).splitlines() == [
        "the nodes' environment differs in what breaks pickling",
        "package | driver   | scheduler | workers (3)",
        "python  | 3.11.7   | 3.11.7    | 3.11.7 (2), 3.12.1 (1)",
        "dask    | 2026.8.0 | 2026.8.0  | 2026.8.0 (2), 2025.1.0 (1)",
    ]
    assert error.__notes__[0].startswith("hint: use one image for all nodes")


def test_a_warning_has_all_that_differs():
    assert compared(node(toolz="1.0.0"), node(toolz="1.0.0")).warning().splitlines() == [
        "the nodes' environment differs from the driver's",
        "package | driver | scheduler | workers (2)",
        "toolz   | 1.2.0  | 1.2.0     | 1.0.0",
    ]
    assert compared(node(toolz="1.0.0", dask="2025.1.0")).warning().splitlines()[0] == (
        "the nodes' environment differs from the driver's (breaks pickling: dask)"
    )


def test_a_distribution_that_the_code_needs_and_a_node_lacks_differs():
    found = compared(REPORTED, REPORTED).with_distributions(
        {"PyYAML": "6.0", "optional": "1"}, {"PyYAML": "6.0"}, {"tcp://w:0": {"PyYAML": None}}
    )
    assert found.warning().splitlines()[1:] == [
        "package | driver | scheduler | workers (2)",
        "PyYAML  | 6.0    | 6.0       | -",
    ]
    assert found.refusal() is None


def test_this_process_knows_what_counts_of_it():
    assert {"python", "platform", "dask", "distributed", "cloudpickle", "msgpack", "tornado"} <= set(mine())


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
    import dask, helper, subprocess
    dask.config.set({"daskbridge.tls": False})  # the worker has no certificate
    ENVIRON = {}
    with transient(Dask(workers=WorkerGroup(1))) as cluster:
        command = [OTHER, "-P", "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
        command += ["--name", "foreign", "--host", "127.0.0.1", "--no-dashboard", *NANNY]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | ENVIRON
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


def test_a_late_worker_with_another_version_of_what_is_pickled_is_turned_away(drive, tmp_path):
    lie = other_version(tmp_path / "lie", "cloudpickle", "0.1")
    program = LATE.replace("OTHER", repr(sys.executable)).replace("*NANNY", "'--no-nanny'")
    driver = drive(
        program.replace("ENVIRON = {}", f"ENVIRON = {{'PYTHONPATH': {lie!r}}}"),
        helper="import time\ndef slow(_):\n    time.sleep(0.1)\n",
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert told["workers"] == ["default-0"]
    assert "foreign was turned away: its environment differs: cloudpickle 0.1 (driver " in told["refused"][0]


def test_a_cluster_of_another_python_is_refused_with_the_table(other, remote, drive):
    remote.python = other
    remote.scheduler("--no-dashboard")
    driver = drive(f"with transient(Dask(), provisioner=Existing({remote.address!r})):\n    pass")
    code, errors = driver.wait()
    assert code == 1
    assert "EnvironmentMismatch: the nodes' environment differs in what breaks pickling" in errors
    assert "python  | 3." in errors


#: A driver that attaches to a cluster and reports what it was warned of; BODY runs inside.
DRIVE = """
    import dask, logging, helper
    told = []
    class Keep(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())
    logging.getLogger("daskbridge").addHandler(Keep(logging.WARNING))
    dask.config.set({"daskbridge.environment-check": POLICY})
    with transient(Dask(), provisioner=Existing(ADDRESS)) as cluster:
        BODY
    report(told=told, detail={step.name: step.detail for step in cluster.timeline}["compare"])
"""
HELPER = "import acme_prices, cloudpickle\ntry:\n    import acme_fast\nexcept ImportError:\n    pass\n"


def attach(drive, address, policy="error", body="pass", helper=HELPER):
    main = DRIVE.replace("POLICY", repr(policy)).replace("ADDRESS", repr(address)).replace("BODY", body)
    return drive(main, helper=helper)


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """Make two versions of a distribution, by version; the first brings an optional one, too."""
    made = {number: tmp_path_factory.mktemp("acme") for number in ("1.0", "2.0")}
    distribution(made["1.0"], "acme-fast", "1.0", "acme_fast")
    return {number: distribution(made[number], "acme-prices", number, "acme_prices") for number in made}


@pytest.fixture(scope="module")
def differing(tmp_path_factory, acme):
    """Run a scheduler and two workers of which one has what the driver has."""
    with dask_nodes(tmp_path_factory.mktemp("nodes")) as made:
        made.scheduler()
        made.worker("equal", PYTHONPATH=acme["1.0"])
        made.worker("lacking")
        made.wait_for(2)
        yield made


@pytest.fixture
def has_acme(acme, monkeypatch):
    """Let the driver have the distribution."""
    monkeypatch.setenv("PYTHONPATH", acme["1.0"])


@pytest.mark.usefixtures("has_acme")
@pytest.mark.parametrize("policy", ["error", "warn"])
def test_an_imported_distribution_that_a_node_lacks_is_a_warning(drive, differing, policy):
    driver = attach(drive, differing.address, policy)
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert [line.splitlines() for line in told["told"]] == [
        [
            "the nodes' environment differs from the driver's",
            "package     | driver | scheduler | workers (2)",
            "acme-prices | 1.0    | -         | - (1), 1.0 (1)",
        ]
    ]
    assert told["detail"].startswith("python 3.")


@pytest.mark.usefixtures("has_acme")
def test_nothing_is_compared_where_it_is_to_be_ignored(drive, differing):
    told = next(attach(drive, differing.address, "ignore").reports(), None)
    assert told["told"] == []


def test_what_the_driver_lacks_itself_is_not_compared(drive, differing):
    driver = attach(drive, differing.address)
    assert next(driver.reports(), None) is None
    assert "ModuleNotFoundError: No module named 'acme_prices'" in driver.wait()[1]


@pytest.fixture(scope="module")
def breaks(tmp_path_factory):
    """Run a scheduler and a worker that say they have another cloudpickle."""
    directory = tmp_path_factory.mktemp("nodes")
    lie = other_version(directory / "lie", "cloudpickle", "0.1")
    with dask_nodes(directory) as made:
        made.scheduler()
        made.worker("other", PYTHONPATH=lie)
        yield made.wait_for(1)


def test_other_versions_of_what_is_pickled_are_refused_with_a_table(drive, breaks):
    driver = attach(drive, breaks, helper="")
    assert next(driver.reports(), None) is None
    code, errors = driver.wait()
    table = errors.partition("EnvironmentMismatch: ")[2].splitlines()
    assert (code, table[0]) == (1, "the nodes' environment differs in what breaks pickling")
    assert [cell.strip() for cell in table[2].split("|")][::3] == ["cloudpickle", "0.1"]


def test_what_breaks_pickling_may_be_a_warning_only(drive, breaks):
    told = next(attach(drive, breaks, "warn", helper="").reports(), None)
    (warning,) = told["told"]
    title = "the nodes' environment differs from the driver's (breaks pickling: cloudpickle)"
    assert warning.splitlines()[0] == title


@pytest.mark.usefixtures("has_acme")
def test_late_workers_are_asked_for_what_the_code_imports_and_told_once(drive, differing, remote, acme):
    body = """
        report(ready=True)
        while not any("2.0" in each for each in told) or len(cluster.client.scheduler_info()["workers"]) < 5:
            time.sleep(0.05)
        cluster._engine.connection.environment.differs("again", {"acme-prices": ("1.0", "2.0")})
    """
    driver = attach(drive, differing.address, body=body.strip())
    reports = driver.reports()
    assert next(reports) == {"ready": True}
    for name in ("late-1", "late-2"):
        remote.worker(name, scheduler=differing.address, PYTHONPATH=acme["2.0"])
    remote.worker("late-3", scheduler=differing.address)
    told = next(reports, None)
    assert driver.wait()[0] == 0
    assert len(told["told"]) == 2, told
    assert told["told"][1].endswith(" differs: acme-prices 2.0 (driver 1.0)")


def test_nodes_in_the_driver_s_own_environment_are_not_asked(monkeypatch):
    def asked(*_, **__):
        raise AssertionError

    monkeypatch.setattr(Client, "get_versions", asked)
    monkeypatch.setattr(Client, "run", asked)
    with transient(Dask(), code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1
