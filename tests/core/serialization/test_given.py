"""A topology may be given as an object, a mapping, a text, a file or a name; each says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dask
import pytest
from hypothesis import given
from hypothesis import strategies as some

from daskbridge import Dask, WorkerGroup, on_dask, transient
from daskbridge.errors import TopologyError
from daskbridge.serialization import dumps, to_document, topology_from

THREE = Dask(workers=WorkerGroup(3))


@pytest.fixture
def named():
    """Configure a topology by name, as a file of Dask's does."""
    document = {"workers": {"number_of_workers": 3}}
    with dask.config.set({"daskbridge.topologies": {"three": document, "none": 7}}):
        yield


@given(some.integers(1, 100))
def test_every_form_of_one_topology_gives_that_topology(number):
    topology = Dask(workers=WorkerGroup(number))
    document = to_document(topology)

    assert topology_from(topology) is topology
    assert topology_from(document) == topology
    assert topology_from({"workers": {"number_of_workers": number}}) == topology
    assert topology_from(json.dumps(document)) == topology
    assert topology_from("\n " + dumps(topology)) == topology


@pytest.mark.parametrize("form", [str, Path])
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_path_is_a_file(tmp_path, form, suffix):
    file = tmp_path / f"cluster.{suffix}"
    file.write_text(dumps(THREE, suffix))

    assert topology_from(form(file)) == THREE


def test_a_word_is_a_name_in_the_configuration(named):
    assert topology_from("three") == THREE


def test_a_name_may_come_from_the_environment():
    program = "from daskbridge.serialization import topology_from; print(topology_from('small'))"
    variable = {"DASK_DASKBRIDGE__TOPOLOGIES__SMALL__WORKERS__NUMBER_OF_WORKERS": "2"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=os.environ | variable, capture_output=True, text=True, check=False)

    assert (done.stderr, done.stdout.strip()) == ("", repr(Dask(workers=WorkerGroup(2))))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("thre", r"^unknown topology 'thre'; known: none, three; did you mean 'three'\?"),
        ("none", r"^daskbridge\.topologies\.none: a mapping .* is expected, int was given"),
        ("lost.yaml", r"^lost\.yaml: the file can't be read"),
        ("lost.toml", r"^lost\.toml: unknown suffix '\.toml'"),
        ({"worker": {}}, r"^unknown key 'worker'; known: .*; did you mean 'workers'\?"),
        ({"version": 7}, r"^version: 7 was given, 1"),
        ('{"version": 1, ', r"^line 1, column \d+: not JSON"),
        ("{}", r"^the key `version` is missing"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_with_its_place(named, wrong, said):
    with pytest.raises(TopologyError, match=said):
        topology_from(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"), [(7, "a int"), (None, "a NoneType"), (Dask, "the class Dask"), ([], "a list")]
)
def test_other_things_are_refused_with_what_is_expected(wrong, said):
    with pytest.raises(
        TypeError, match=rf"^topology is {said}; expected daskbridge\.Dask\(\.\.\.\), a mapping"
    ):
        topology_from(wrong)


def test_a_block_takes_every_form_and_checks_it_at_once():
    with pytest.raises(TopologyError, match="unknown topology 'lost'"):
        transient("lost")
    with transient({"workers": {"number_of_workers": 1, "threads": 3}}, code=False) as cluster:
        assert list(cluster.client.nthreads().values()) == [3]


def test_a_decorator_leaves_names_and_files_to_the_call_for_nodes_import_it_too(tmp_path):
    file = tmp_path / "cluster.yaml"

    @on_dask(file, code=False)
    def workers():
        from distributed import get_client

        return len(get_client().nthreads())

    with pytest.raises(TopologyError, match="the file can't be read"):
        workers()
    file.write_text(dumps(Dask(workers=WorkerGroup(2), min_workers=2), "yaml"))
    assert workers() == 2
    with pytest.raises(TopologyError, match="unknown key"):  # what was given is known at once
        on_dask({"worker": 1})
