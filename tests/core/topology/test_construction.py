from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import pytest

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.errors import TopologyError

FULL = Dask(
    Scheduler("img:1", Resources(cpu="1", memory="1Gi"), env={"A": "1"}),
    WorkerGroup(
        4,
        "img:2",
        Resources(cpu=(1, "2"), memory=("1Gi", "2Gi"), gpu="A100:2", disk="10Gi", shm="auto"),
        max_workers=8,
        threads=2,
        env={"TOKEN": "s3cret"},
        local_directory="/scratch",
        abstract_resources={"GPU": 1},
    ),
    worker_groups={"big": WorkerGroup(2)},
    min_workers=3,
    start_timeout=60,
    max_lifetime=3600,
    config={"distributed": {"worker": {"memory": {"target": 0.7}}}},
    provisioner_options={"kubernetes": {"namespace": "science"}},
)


@pytest.mark.parametrize(
    ("owner", "positional"),
    [
        (Dask, {"scheduler": Scheduler(), "workers": WorkerGroup()}),
        (Scheduler, {"image": None, "resources": None}),
        (WorkerGroup, {"number_of_workers": 1, "image": None, "resources": None}),
        (Resources, dict.fromkeys(["cpu", "memory", "gpu", "disk", "shm"])),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_only_the_reference_fields_are_positional_in_their_order_with_their_defaults(owner, positional):
    parameters = inspect.signature(owner).parameters.values()
    assert [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY] == list(positional)
    assert {name: getattr(owner(), name) for name in positional} == positional


@pytest.mark.parametrize("owner", [Dask, Scheduler, WorkerGroup, Resources])
def test_annotations_resolve_at_run_time_for_exactly_the_fields(owner):
    assert list(typing.get_type_hints(owner)) == [each.name for each in dataclasses.fields(owner)]


def test_an_image_is_annotated_as_the_reference_says():
    assert typing.get_type_hints(Scheduler)["image"] == typing.Optional[str]  # noqa: UP045 -- the reference's spelling


@pytest.mark.parametrize(
    "again",
    [
        copy.deepcopy,
        lambda topology: pickle.loads(pickle.dumps(topology)),  # noqa: S301 -- our own bytes
        dataclasses.replace,
        lambda topology: Dask(**dataclasses.asdict(topology)),
    ],
    ids=["deepcopy", "pickle", "replace", "from plain dicts"],
)
def test_a_copy_is_equal(again):
    assert again(FULL) == FULL


def test_a_changed_copy_differs_and_is_validated():
    assert dataclasses.replace(FULL, min_workers=2) != FULL
    with pytest.raises(TopologyError, match="min_workers: 7 was given"):
        dataclasses.replace(FULL, min_workers=7)


def test_a_topology_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.min_workers = 2


def test_mappings_are_copied_at_construction():
    env, config = {"A": "1"}, {"distributed": {"worker": {}}}
    topology = Dask(Scheduler(env=env), config=config)
    env["B"] = "2"
    config["distributed"]["worker"]["late"] = True
    assert topology == Dask(Scheduler(env={"A": "1"}), config={"distributed": {"worker": {}}})


def test_values_are_kept_as_they_were_given():
    assert FULL.scheduler.resources.cpu == "1"
    assert FULL.workers.resources.cpu == (1, "2")


def test_none_workers_means_the_default_of_one():
    assert WorkerGroup(None) == WorkerGroup(1)


def test_repr_names_environment_variables_and_hides_their_values():
    assert "s3cret" not in repr(FULL)
    assert "'TOKEN': ..." in repr(FULL)


def test_an_image_object_is_kept_as_it_is():
    image = SimpleNamespace(uri="img:1")
    assert WorkerGroup(image=image).image is image


def test_groups_start_with_the_default_one():
    assert list(FULL.groups.items()) == [("default", FULL.workers), ("big", WorkerGroup(2))]


@pytest.mark.parametrize(("min_workers", "expected"), [(None, 2), (4, 4)])
def test_the_body_waits_for_one_worker_per_group_unless_told(min_workers, expected):
    topology = Dask(workers=WorkerGroup(4), worker_groups={"big": WorkerGroup()}, min_workers=min_workers)
    assert topology.workers_to_wait_for == expected


@dataclasses.dataclass
class OtherResources:
    cpu: object = None
    memory: object = None
    gpu: object = None
    disk: object = None
    shm: object = None
    tpu: object = None


def test_resources_of_another_library_become_ours():
    device = SimpleNamespace(quantity=1)
    group = WorkerGroup(resources=OtherResources(cpu=2, memory=("1Gi", "2Gi"), gpu=device, shm="auto"))
    assert group.resources == Resources(cpu=2, memory=("1Gi", "2Gi"), gpu=device, shm="auto")


def test_what_we_do_not_know_of_foreign_resources_is_not_dropped():
    with pytest.raises(TopologyError, match=r"WorkerGroup\.resources: unknown key 'tpu'"):
        WorkerGroup(resources=OtherResources(tpu=4))


def test_a_class_is_not_taken_for_foreign_resources():
    with pytest.raises(TopologyError, match="a Resources or a mapping with its fields is expected"):
        WorkerGroup(resources=OtherResources)


def test_a_path_like_directory_is_kept_as_a_string():
    assert WorkerGroup(local_directory=Path("/scratch")).local_directory == str(Path("/scratch"))


def test_defining_and_digesting_a_topology_loads_no_heavy_package():
    program = (
        "import sys; from daskbridge import Dask; from daskbridge.serialization import digest, json_schema;"
        "digest(Dask(worker_groups={'a': {}})); json_schema();"
        "print([name for name in ('dask', 'distributed', 'numpy', 'yaml', 'click') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
