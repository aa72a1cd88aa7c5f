from __future__ import annotations

import ast
import re
import string
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.errors import TopologyError
from daskbridge.serialization import digest, dumps, from_document, json_schema, loads, to_document

SCHEMA = Draft202012Validator(json_schema())

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SECONDS = st.one_of(st.integers(1, 10**9), st.floats(1e-6, 1e9))
COUNTS = st.integers(1, 2**40)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name != "default"
)
IMAGES = st.text(string.ascii_letters + string.digits + "/:.@-#%'\"", min_size=1)


def amounts(values):
    def text(value):
        return st.sampled_from([value, str(value), f"{value}000m"])

    pairs = (
        st.tuples(values, values).map(sorted).flatmap(lambda pair: st.tuples(text(pair[0]), text(pair[1])))
    )
    return st.one_of(values.flatmap(text), pairs)


CPUS = amounts(st.integers(1, 1000)) | st.floats(0.01, 1000)
SIZES = amounts(st.integers(2**20, 2**50)) | st.sampled_from(["512Mi", "1.5Gi", "1e9", "4G", ("1Gi", "2G")])
ENVIRONMENTS = st.dictionaries(
    st.from_regex(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,5}", fullmatch=True), TEXTS, max_size=3
)


def plain(keys):
    """Generate what JSON can hold, with keys of that kind."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


PLAIN = plain(TEXTS)
UNDOTTED = TEXTS.filter(lambda key: "." not in key)
RESOURCES = st.builds(
    Resources,
    cpu=st.none() | CPUS,
    memory=st.none() | SIZES,
    gpu=st.none() | st.integers(0, 16) | st.sampled_from(["A100:2", "A100 80G:1"]),
    disk=st.none() | SIZES,
    shm=st.none() | st.just("auto") | SIZES,
)


@st.composite
def worker_groups(draw):
    number = draw(COUNTS)
    return WorkerGroup(
        number,
        draw(st.none() | IMAGES),
        draw(st.none() | RESOURCES),
        max_workers=draw(st.none() | st.integers(number, 2**41)),
        threads=draw(st.none() | COUNTS),
        env=draw(ENVIRONMENTS),
        local_directory=draw(st.none() | TEXTS.filter(str.strip)),
        abstract_resources=draw(
            st.dictionaries(st.sampled_from(["GPU", "MEM", "license/x"]), COUNTS | st.floats(0.1, 1e300))
        ),
    )


@st.composite
def topologies(draw):
    workers, groups = draw(worker_groups()), draw(st.dictionaries(LABELS, worker_groups(), max_size=2))
    most = sum(group.number_of_workers for group in [workers, *groups.values()])
    return Dask(
        draw(st.builds(Scheduler, st.none() | IMAGES, st.none() | RESOURCES, env=ENVIRONMENTS)),
        workers,
        worker_groups=groups,
        min_workers=draw(st.none() | st.integers(1 + len(groups), most)),
        start_timeout=draw(SECONDS),
        max_lifetime=draw(st.none() | SECONDS),
        config=draw(st.dictionaries(UNDOTTED, plain(UNDOTTED), max_size=3)),
        provisioner_options=draw(
            st.dictionaries(LABELS, st.dictionaries(TEXTS, PLAIN, max_size=2), max_size=2)
        ),
    )


@given(topologies())
def test_every_topology_survives_its_document_and_fits_the_schema(topology):
    document = to_document(topology)
    assert from_document(document) == topology
    SCHEMA.validate(document)


@pytest.mark.parametrize("name", ["json", "yaml"])
@given(topology=topologies())
@example(topology=Dask(Scheduler(env={"A": "\x85"})))
def test_every_topology_survives_text(name, topology):
    again = loads(dumps(topology, name), name)
    assert again == topology
    assert repr(again) == repr(topology)
    assert digest(again) == digest(topology)


def test_a_document_holds_only_what_is_set():
    assert to_document(Dask(workers=WorkerGroup(resources=Resources(cpu=(1, 2))))) == {
        "version": 1,
        "workers": {"number_of_workers": 1, "resources": {"cpu": [1, 2]}},
        "start_timeout": 600.0,
    }


def test_nothing_but_the_version_is_required():
    assert from_document({"version": 1}) == Dask()


def test_null_stands_for_what_is_not_set_in_the_schema_too():
    document = {"version": 1, "min_workers": None, "workers": {"number_of_workers": None, "image": None}}
    assert from_document(document) == Dask()
    SCHEMA.validate(document)


def test_the_digest_stays_the_same_between_releases():
    topology = Dask(workers=WorkerGroup(4, resources=Resources(cpu=2, memory="4Gi")))
    assert digest(topology) == "0ebf566a9ff290a3030a3cc29499bce1e5c5ca620d5db901a484d2fe34812de0"


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert digest(Dask(config={"a": 1, "b": 2})) == digest(Dask(config={"b": 2, "a": 1}))


@pytest.mark.parametrize(
    ("topology", "path"),
    [
        (Dask(workers=WorkerGroup(image=SimpleNamespace())), "workers.image"),
        (
            Dask(worker_groups={"big": WorkerGroup(resources=Resources(gpu=SimpleNamespace()))}),
            "worker_groups.big.resources.gpu",
        ),
    ],
    ids=["image", "gpu"],
)
def test_an_orchestrators_object_is_no_document(topology, path):
    with pytest.raises(TopologyError, match=rf"^{re.escape(path)}: "):
        to_document(topology)


def test_the_schema_is_valid_and_describes_every_field():
    Draft202012Validator.check_schema(SCHEMA.schema)
    for owner in [SCHEMA.schema, *SCHEMA.schema["$defs"].values()]:
        assert owner["title"]
        assert all(each["description"] for each in owner["properties"].values())


WRONG = {
    "unknown key": ({"worker": {}}, "unknown key 'worker'"),
    "unknown nested key": ({"workers": {"imge": "x"}}, "workers: unknown key 'imge'"),
    "no version": ({"version": ...}, "the key `version` is missing"),
    "newer version": ({"version": 2}, "version: 2 was given"),
    "true for the version": ({"version": True}, "version: True was given"),
    "version as text": ({"version": "1"}, "version: '1' was given"),
    "no workers": ({"workers": {"number_of_workers": 0}}, "workers.number_of_workers: 0 was given"),
    "number as text": ({"workers": {"threads": "4"}}, "workers.threads: '4' was given"),
    "true for a number": ({"min_workers": True}, "min_workers: True was given"),
    "image as number": ({"scheduler": {"image": 3}}, "scheduler.image: 3 was given"),
    "empty image": ({"scheduler": {"image": ""}}, "scheduler.image: '' was given"),
    "wrong unit": (
        {"workers": {"resources": {"memory": "4GB"}}},
        "workers.resources.memory: '4GB' was given",
    ),
    "too few bytes": ({"workers": {"resources": {"memory": 512}}}, "workers.resources.memory: 512 was given"),
    "triple": ({"workers": {"resources": {"cpu": [1, 2, 3]}}}, "workers.resources.cpu: [1, 2, 3] was given"),
    "gpu text": ({"workers": {"resources": {"gpu": "many"}}}, "workers.resources.gpu: 'many' was given"),
    "env value": ({"scheduler": {"env": {"A": 1}}}, "scheduler.env.A: a value of type int was given"),
    "env name": ({"scheduler": {"env": {"A B": "1"}}}, "scheduler.env: 'A B' was given"),
    "env list": ({"scheduler": {"env": ["A"]}}, "scheduler.env: a value of type list was given"),
    "group named default": ({"worker_groups": {"default": {}}}, "worker_groups: 'default' was given"),
    "null group": ({"worker_groups": {"big": None}}, "worker_groups.big: None was given"),
    "null scheduler": ({"scheduler": None}, "scheduler: None was given"),
    "no time": ({"start_timeout": 0}, "start_timeout: 0 was given"),
    "dotted key": ({"config": {"distributed.worker": 1}}, "config: 'distributed.worker' was given"),
    "dotted key below": (
        {"config": {"distributed": {"worker.memory.target": 1}}},
        "config.distributed: 'worker.memory.target' was given, a key without dots is expected",
    ),
    "options": ({"provisioner_options": {"local": 1}}, "provisioner_options.local: 1 was given"),
    "abstract": (
        {"workers": {"abstract_resources": {"GPU": -1}}},
        "workers.abstract_resources.GPU: -1 was given",
    ),
    "directory": ({"workers": {"local_directory": ""}}, "workers.local_directory: '' was given"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_document_is_refused_by_reader_and_schema(change, message):
    document = {name: value for name, value in {"version": 1, **change}.items() if value is not ...}
    with pytest.raises(TopologyError) as caught:
        from_document(document)
    assert str(caught.value).startswith(message)
    assert not SCHEMA.is_valid(document)


@pytest.mark.parametrize("value", [None, [], "version: 1", Dask()], ids=repr)
def test_a_document_is_a_mapping(value):
    with pytest.raises(TopologyError, match="a mapping with the key `version` is expected"):
        from_document(value)


def test_the_hint_for_a_dotted_key_works_as_it_stands():
    with pytest.raises(TopologyError) as caught:
        Dask(config={"distributed.scheduler.allowed-failures": 0})
    (hint,) = caught.value.__notes__
    nested = hint.removeprefix("hint: nest it: ").replace("...", "0")
    assert Dask(config=ast.literal_eval(nested)).config["distributed"]["scheduler"]["allowed-failures"] == 0


def test_keys_that_are_names_of_their_own_may_have_dots():
    config = {"logging": {"distributed.worker": "info"}, "distributed": {"worker": {"resources": {"a.b": 1}}}}
    document = to_document(Dask(config=config))
    assert SCHEMA.is_valid(document)
    assert from_document(document).config == config
