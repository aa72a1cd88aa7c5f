"""The commands as a shell sees them: what is printed where, and the exit code."""

from __future__ import annotations

import json
from importlib.metadata import version

import click
import pytest

from daskbridge.cli._run import run

RUN = ["run", "--cluster", "cluster.yaml", "--", "true"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["render", "cluster.yaml", "--to", "docment"],
            "PluginError: unknown serializer 'docment'; known: document",
        ),
        (
            ["render", "cluster.yaml", "--to", "local"],
            "PluginError: 'local' is a provisioner: a topology has no form of its own there",
        ),
        (["validate", "cluster.yaml", "--to", "locl"], "PluginError: unknown target 'locl'"),
        (
            ["validate", "options.yaml", "--to", "local"],
            "TopologyError: provisioner_options.local: unknown option 'exakt'",
        ),
        (["validate", "none.yaml"], "TopologyError: none.yaml"),
        (["validate", "wrong.yaml"], "TopologyError: wrong.yaml: workers.number_of_workers: 0 was given"),
        (["bundle", "ls", "/"], "BundleError: code root '/' is the root directory"),
    ],
    ids=["serializer", "provisioner's form", "target", "provisioner's options", "file", "document", "bundle"],
)
def test_an_error_is_words_and_hints_on_stderr_and_exit_code_2(project, command, said):
    project.write("wrong.yaml", "version: 1\nworkers: {number_of_workers: 0}\n")
    project.write("options.yaml", "version: 1\nprovisioner_options: {local: {exakt: true}}\n")

    done = project.run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"daskbridge: {said}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [*RUN[1:3], "--provisioner", "cloud", "true"],
            "daskbridge: PluginError: unknown provisioner 'cloud'",
        ),
        ([*RUN[1:3], "--code", "missing", "true"], "daskbridge: BundleError: code root"),
        (["true"], "Error: Missing option '--cluster'"),
    ],
    ids=["provisioner", "code", "usage"],
)
def test_what_is_not_the_command_s_own_failure_is_exit_code_125(project, arguments, said):
    done = project.run("run", *arguments)

    assert (done.returncode, done.stdout) == (125, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (
            ["validate", "shm.yaml", "--to", "existing"],
            "or choose another target: `daskbridge plugins` lists them",
        ),
        ([*RUN[:3], "--code", "/", "true"], "name the project's directory with --code, or use --no-code"),
    ],
    ids=["target", "code"],
)
def test_the_hint_is_a_line_of_its_own(project, command, hint):
    project.write("shm.yaml", "version: 1\nworkers: {resources: {shm: 1Gi}}\n")
    assert project.run(*command).stderr.splitlines()[-1] == f"hint: {hint}"


@pytest.mark.parametrize("name", ["DISPLAY", "LOG_RATE"])
def test_a_wrong_setting_stops_a_run_before_it_starts(project, name):
    done = project.run(*RUN, **{f"DASK_DASKBRIDGE__{name}": "loud"})

    assert (done.returncode, done.stdout) == (125, "")
    first, *rest = done.stderr.splitlines()
    assert first.startswith(
        f"daskbridge: SettingError: daskbridge.{name.lower().replace('_', '-')} is 'loud'; expected"
    )
    assert [line.partition(":")[0] for line in rest] == ["hint"]


@pytest.mark.parametrize("arguments", [["plugins", "--json"], ["--help"], ["run", "--help"]], ids=" ".join)
def test_dask_has_the_same_commands(project, arguments):
    ours = project.run(*arguments)
    dasks = project.run("bridge", *arguments, script="dask")

    assert (dasks.returncode, dasks.stderr) == (0, "")
    said = dasks.stdout.replace("dask bridge", "daskbridge").replace("-h, --help", "--help")
    assert said.split() == ours.stdout.split()


def test_the_version_is_that_of_the_distribution(project):
    assert project.run("--version").stdout == f"daskbridge, version {version('daskbridge')}\n"


def test_plugins_are_a_table_for_people(project):
    heading, *rows = project.run("plugins").stdout.splitlines()

    assert heading.split() == ["NAME", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES"]
    local = ["local", "daskbridge", version("daskbridge"), "active", "provisioner:local"]
    assert local in [row.split() for row in rows]


def test_a_disabled_plugin_is_listed_with_the_reason(project):
    listed = json.loads(project.run("plugins", "--json", DASKBRIDGE_PLUGINS_DISABLE="local").stdout)

    (local,) = [info for info in listed if info["name"] == "local"]
    assert (local["status"], local["error"]) == ("disabled", "DASKBRIDGE_PLUGINS_DISABLE names it")


@pytest.mark.parametrize("dashes", [["--"], []], ids=["after dashes", "without"])
def test_what_follows_the_command_is_the_commands(dashes):
    given = ["--cluster", "f.yaml", *dashes, "job", "--json", "--code", "x", "--help"]

    parsed = run.make_context("run", given).params

    assert parsed["command"] == ("job", "--json", "--code", "x", "--help")
    assert (parsed["as_json"], parsed["code"]) == (False, None)


def test_a_misspelt_option_is_an_error():
    with pytest.raises(click.NoSuchOption, match="--jsno"):
        run.make_context("run", ["--cluster", "f.yaml", "--jsno", "job"])
