"""What `daskbridge doctor` says of a running scheduler, and of a machine."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest
from distributed.versions import get_versions
from tests.environments import distribution, other_version
from tests.nodes import dask_nodes

from daskbridge import Dask, Existing, transient
from daskbridge.cluster import _commands
from daskbridge.cluster._local import LocalProvisioner
from daskbridge.errors import ProvisioningError


@pytest.fixture(scope="module")
def lie(tmp_path_factory):
    return other_version(tmp_path_factory.mktemp("lie"), "cloudpickle", "0.1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, lie):
    """Run a scheduler and two workers, of which one says it has another cloudpickle."""
    with dask_nodes(tmp_path_factory.mktemp("nodes")) as made:
        made.scheduler()
        made.worker("equal", "--memory-limit", "512MiB")
        made.worker("other", "--memory-limit", "512MiB", PYTHONPATH=lie)
        yield made.wait_for(2)


def rows(text):
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "|" in line]


def test_the_table_has_every_row_and_marks_what_breaks(project, cluster):
    done = project.run("doctor", "--address", cluster)

    assert done.returncode == 1
    head, *table = rows(done.stdout)
    assert head == ["package", "driver", "scheduler", "workers (2)"]
    packages = get_versions()["packages"]
    assert {"python", "platform", "dask", "msgpack", "toolz"} < {row[0] for row in table}
    by_name = {row[0]: row[1:] for row in table}
    assert by_name["dask"] == [packages["dask"]] * 3
    ours = packages["cloudpickle"]
    assert by_name["cloudpickle"] == [ours, ours, f"0.1 (1), {ours} (1)", "breaks pickling"]
    assert done.stderr.splitlines() == [
        "",
        "breaks pickling: cloudpickle",
        "hint: use one image for all nodes, or set daskbridge.environment-check to warn or ignore",
    ]


def test_what_else_is_known_of_the_cluster_is_said_first(project, cluster):
    said = dict(
        line.split("  ", 1) for line in project.run("doctor", "--address", cluster).stdout.split("\n")[:4]
    )
    assert said["scheduler"].strip().startswith(f"{cluster}, no TLS")
    assert said["workers"].strip(" ") == "2: 2 threads, 1.00 GiB"
    assert said["plugins"].strip() == "none of daskbridge"
    assert re.fullmatch(
        "(http://127.0.0.1:[0-9]+/status|the scheduler's environment has no bokeh)", said["dashboard"]
    )


def test_json_has_the_same(project, cluster):
    done = project.run("doctor", "--address", cluster, "--json")
    told = json.loads(done.stdout)
    assert (told["breaks"], told["differs"], told["tls"]) == (["cloudpickle"], ["cloudpickle"], False)
    assert told["workers"] == {"equal": "running", "other": "running"}
    assert "0.1" in told["packages"]["cloudpickle"]["workers"].values()


def test_what_a_project_imports_is_compared_too(project, cluster, tmp_path):
    site = distribution(tmp_path / "site", "acme-prices", "1.0", "acme_prices")
    project.write("job.py", "import acme_prices, pytest")
    done = project.run("doctor", "--address", cluster, "--code", ".", PYTHONPATH=site)
    by_name = {row[0]: row[1:] for row in rows(done.stdout)}
    assert by_name["acme-prices"] == ["1.0", "-", "-", "differs"]
    assert len(by_name["pytest"]) == 3


@pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")
def test_plugins_of_a_run_that_is_under_way_are_listed(project, cluster):
    import dask

    with dask.config.set({"daskbridge.environment-check": "warn"}):
        with transient(Dask(), provisioner=Existing(cluster), code=False):
            done = project.run("doctor", "--address", cluster)
    assert "plugins    daskbridge-guard-" in done.stdout


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """Run a scheduler and a worker with TLS; return the address and Dask's settings for it."""
    pytest.importorskip("cryptography", reason="makes temporary certificates")
    from distributed import Security

    made = Security.temporary()
    directory = tmp_path_factory.mktemp("tls")
    files = {"CA_FILE": made.tls_ca_file, "CERT": made.tls_client_cert, "KEY": made.tls_client_key}
    for name, text in files.items():
        (directory / name).write_text(text)
    place = {name: str(directory / name) for name in files}
    settings = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": place["CA_FILE"]}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        for name in ("CERT", "KEY"):
            settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__{name}"] = place[name]
    with dask_nodes(directory / "nodes") as started:
        started.scheduler("--protocol", "tls", "--no-dashboard", **settings)
        started.worker("only", "--protocol", "tls", **settings)
        yield started.wait_for(1, security=made), settings


def test_a_scheduler_with_tls_is_reached_by_dask_s_own_settings(project, secure):
    address, settings = secure
    done = project.run("doctor", "--address", address, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scheduler  {address}, TLS\n" in done.stdout


def test_why_there_is_no_dashboard_is_said(project, secure):
    address, settings = secure
    done = project.run("doctor", "--address", address, **settings)
    reasons = "the scheduler was started without one|the scheduler's environment has no bokeh"
    assert re.search(f"^dashboard  ({reasons})$", done.stdout, re.MULTILINE)


def test_tls_without_settings_is_words(project, secure):
    done = project.run("doctor", "--address", secure[0], "--timeout", "5")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no scheduler answered at {secure[0]} within 5 s: TLS expects" in done.stderr
    assert "both or neither use TLS" in done.stderr


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "somebody else listens"])
def test_a_scheduler_that_can_t_be_reached_is_an_error_within_the_bound(project, answers):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not answers:
            server.close()
        done = project.run("doctor", "--address", f"127.0.0.1:{port}", "--timeout", "1.5")
    assert (done.returncode, done.stdout) == (1, "")
    first, hint = done.stderr.splitlines()
    assert first.startswith(f"daskbridge: no scheduler answered at tcp://127.0.0.1:{port} within 1.5 s: ")
    assert hint.startswith("hint: check that it runs")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--address", "host"],
        ["--timeout", "0"],
        ["--adress", "x"],
        ["--address", "tcp://h:1", "--code", "missing"],
    ],
    ids=["no port", "no time", "misspelt", "no such code"],
)
def test_wrong_usage_is_exit_code_2(project, arguments):
    assert project.run("doctor", *arguments).returncode == 2


def test_without_an_address_it_is_about_this_machine(project):
    done = project.run("doctor", DASK_SCHEDULER_ADDRESS="tcp://h:1")
    said = {line[:27].strip(): line[27:] for line in done.stdout.splitlines()}
    packages = get_versions()["packages"]
    assert (done.returncode, done.stderr) == (0, "")
    assert said["python"].startswith("3.")
    assert Path(said["python"].rpartition(": ")[2]).samefile(sys.executable)
    assert f"distributed {packages['distributed']}, cloudpickle {packages['cloudpickle']}" in said["packages"]
    assert "dask-worker" in said["scripts"]
    assert re.fullmatch(r"\d+ processors?, .* [GM]iB", said["provisioner local"])
    assert said["provisioner existing"] == "Dask's setting scheduler-address names tcp://h:1"
    assert said["provisioner cluster-class"].startswith("needs a class")


def test_what_is_wrong_with_this_machine_is_exit_code_1(project, tmp_path):
    site = tmp_path / "site"
    info = site / "acme_dask-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-dask\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[daskbridge]\nacme = no_such_module\n")
    done = project.run("doctor", PYTHONPATH=str(site))
    assert done.returncode == 1
    assert "plugin acme: " in done.stderr.splitlines()[-1]
    assert "no_such_module" in done.stderr


def test_a_provisioner_that_can_t_start_here_says_why(monkeypatch):
    from daskbridge.cli._machine import machine

    def diagnose(_):
        raise ProvisioningError("there is no fork here")

    monkeypatch.setattr(LocalProvisioner, "diagnose", diagnose)
    rows, problems = machine()
    assert dict(rows)["provisioner local"] == "can't start: there is no fork here"
    assert problems == ["provisioner local: can't start: there is no fork here"]


def test_scripts_of_another_environment_are_named(monkeypatch, tmp_path):
    from daskbridge.cli._machine import machine

    stray = tmp_path / "dask-worker"
    stray.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_commands, "_lacks_scripts_here", lambda: True)
    assert dict(machine()[0])["scripts"].endswith(f": {stray} belong to another environment")
    monkeypatch.setattr(_commands, "_lacks_scripts_here", lambda: False)
    assert dict(machine()[0])["scripts"].startswith(
        "dask-scheduler, dask-worker, dask-ssh; distributed 2026.6.0"
    )
