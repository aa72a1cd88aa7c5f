from __future__ import annotations

import pytest

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.errors import PluginError, UnsupportedByTarget
from daskbridge.plugins import Serializer
from daskbridge.serialization import CAPABILITIES, check, to_document
from daskbridge.serialization.document_plugin import daskbridge_serializers

ALL = frozenset(CAPABILITIES)


def target(capabilities=frozenset(), **adapts):
    return Serializer("flyte", render=to_document, capabilities=frozenset(capabilities), adapts=adapts)


ASKS = {
    "worker-groups": (Dask(worker_groups={"big": WorkerGroup()}), "worker_groups=big"),
    "adaptive": (Dask(workers=WorkerGroup(max_workers=8)), "workers.max_workers=8"),
    "images": (Dask(Scheduler("img:1")), "scheduler.image='img:1'"),
    "scheduler-resources": (Dask(Scheduler(resources=Resources(cpu=1))), "scheduler.resources.cpu=1"),
    "worker-resources": (
        Dask(workers=WorkerGroup(resources=Resources(memory=("1Gi", "2Gi")))),
        "workers.resources.memory=('1Gi', '2Gi')",
    ),
    "gpu": (Dask(workers=WorkerGroup(resources=Resources(gpu=1))), "workers.resources.gpu=1"),
    "disk": (Dask(Scheduler(resources=Resources(disk="1Gi"))), "scheduler.resources.disk='1Gi'"),
    "shm": (Dask(workers=WorkerGroup(resources=Resources(shm="auto"))), "workers.resources.shm='auto'"),
    "env": (Dask(Scheduler(env={"TOKEN": "s3cret"})), "scheduler.env={'TOKEN': ...}"),
    "threads": (Dask(workers=WorkerGroup(threads=2)), "workers.threads=2"),
    "local-directory": (Dask(workers=WorkerGroup(local_directory="/x")), "workers.local_directory='/x'"),
    "abstract-resources": (
        Dask(workers=WorkerGroup(abstract_resources={"GPU": 1})),
        "workers.abstract_resources={'GPU': 1}",
    ),
    "dask-config": (Dask(config={"a": 1}), "config={'a': 1}"),
    "max-lifetime": (Dask(max_lifetime=60), "max_lifetime=60.0"),
}


def test_every_capability_is_tried_here():
    assert ASKS.keys() == CAPABILITIES.keys()


@pytest.mark.parametrize("name", ASKS)
def test_a_field_asks_exactly_its_capability(name):
    topology, asked = ASKS[name]
    assert check(topology, target([name])) == ()
    with pytest.raises(UnsupportedByTarget) as caught:
        check(topology, target(ALL - {name}))
    assert f"  {asked}: it can't {CAPABILITIES[name]}; " in str(caught.value)


@pytest.mark.parametrize("name", ASKS)
def test_what_a_target_adapts_is_said(name):
    topology, asked = ASKS[name]
    assert check(topology, target(ALL, **{name: "it happens otherwise"})) == (
        f"{asked}: it happens otherwise",
    )


def test_numbers_waiting_and_other_provisioners_options_ask_nothing():
    topology = Dask(
        workers=WorkerGroup(4, resources=Resources(gpu=0)),
        min_workers=2,
        start_timeout=5,
        provisioner_options={"kubernetes": {"namespace": "science"}},
    )
    assert check(topology, target()) == ()


def test_one_error_lists_every_field_in_every_group():
    topology = Dask(
        workers=WorkerGroup(threads=2),
        worker_groups={"big": WorkerGroup(image="img:1", resources=Resources(cpu=8, gpu=2))},
        max_lifetime=60,
    )
    with pytest.raises(UnsupportedByTarget) as caught:
        check(topology, target(["threads"]))
    heading, *lines = str(caught.value).splitlines()
    assert heading == "the target 'flyte' can't do what the topology asks:"
    assert [line.split("=")[0].strip() for line in lines] == [
        "worker_groups",
        "worker_groups.big.image",
        "worker_groups.big.resources.cpu",
        "worker_groups.big.resources.gpu",
        "max_lifetime",
    ]
    assert "daskbridge plugins" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "wrong", [target(["adaptiv"]), target(adaptiv="never")], ids=["capabilities", "adapts"]
)
def test_a_target_that_declares_an_unknown_capability_is_a_broken_plugin(wrong):
    with pytest.raises(
        PluginError, match=r"target 'flyte': unknown capability 'adaptiv'.*did you mean 'adaptive'"
    ):
        check(Dask(), wrong)


def test_the_document_plugin_renders_everything():
    (serializer,) = daskbridge_serializers()
    for topology, _ in ASKS.values():
        assert check(topology, serializer) == ()
        assert serializer.render(topology) == to_document(topology)
