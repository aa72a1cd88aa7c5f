from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.cli._topology import describe, render, schema, validate
from daskbridge.errors import PluginError, TopologyError
from daskbridge.serialization import digest, dumps, json_schema, to_document

TOPOLOGY = Dask(workers=WorkerGroup(4, resources=Resources(cpu=2, memory="4Gi")))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(dumps(TOPOLOGY, "yaml"), "utf-8")
    return str(path)


def run(command, *arguments):
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_validate_says_in_one_line_what_a_file_describes(file):
    assert run(validate, file) == f"{file}: 4 workers of 2 CPUs and 4Gi, 1 scheduler\n"


def test_validate_prints_json_for_scripts(file):
    assert json.loads(run(validate, file, "--to", "document", "--json")) == {
        "file": file,
        "describes": "4 workers of 2 CPUs and 4Gi, 1 scheduler",
        "digest": digest(TOPOLOGY),
        "adapted": [],
    }


def test_validate_of_a_wrong_file_raises_for_the_caller_to_print(tmp_path):
    wrong = tmp_path / "cluster.yaml"
    wrong.write_text("version: 1\nworkers: {number_of_workers: 0}\n", "utf-8")
    with pytest.raises(TopologyError, match=r"cluster\.yaml: workers\.number_of_workers: 0 was given"):
        run(validate, str(wrong))


@pytest.mark.parametrize("command", [validate, render])
def test_an_unknown_target_is_refused_by_name(file, command):
    with pytest.raises(PluginError, match=r"docment.*did you mean 'document'"):
        run(command, file, "--to", "docment")


@pytest.mark.parametrize(
    ("options", "parse"), [([], json.loads), (["--yaml"], yaml.safe_load)], ids=["json", "yaml"]
)
def test_render_prints_the_targets_form(file, options, parse):
    assert parse(run(render, file, "--to", "document", *options)) == to_document(TOPOLOGY)


def test_schema_prints_the_schema():
    assert json.loads(run(schema)) == json_schema()


@pytest.mark.parametrize(
    ("topology", "line"),
    [
        (Dask(), "1 worker, 1 scheduler"),
        (Dask(workers=WorkerGroup(2, max_workers=8)), "2 to 8 workers, 1 scheduler"),
        (
            Dask(
                Scheduler(resources=Resources(cpu=1)),
                WorkerGroup(resources=Resources(cpu=(1, 2), memory=2**30)),
                worker_groups={"fast": WorkerGroup(2, resources=Resources(gpu="A100:2"))},
            ),
            "1 worker of 1 CPU and 1073741824 bytes, 2 workers (fast) of GPU A100:2, 1 scheduler of 1 CPU",
        ),
    ],
    ids=["default", "adaptive", "groups"],
)
def test_a_topology_is_described_in_one_line(topology, line):
    assert describe(topology) == line
