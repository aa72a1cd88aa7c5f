from __future__ import annotations

import pytest

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.errors import TopologyError

CYCLE = {}
CYCLE["again"] = CYCLE


def refused(make):
    with pytest.raises(TopologyError) as caught:
        make()
    return str(caught.value), "\n".join(getattr(caught.value, "__notes__", ()))


@pytest.mark.parametrize("number", [0, -1, "4", True, 1.0, float("nan")], ids=repr)
@pytest.mark.parametrize("name", ["number_of_workers", "max_workers", "threads"])
def test_a_number_of_workers_or_threads_is_a_whole_number_of_at_least_one(name, number):
    message, _ = refused(lambda: WorkerGroup(**{name: number}))
    assert message == f"WorkerGroup.{name}: {number!r} was given, a whole number of at least 1 is expected"


@pytest.mark.parametrize(
    ("memory", "hint"),
    [
        ("lots", ""),
        ("4GB", "did you mean '4Gi'?"),
        ("4 GiB", "did you mean '4Gi'?"),
        ("4GiB", "did you mean '4Gi'?"),
        ("512mb", "did you mean '512Mi'?"),
        ("512", "did you mean '512Mi'?"),
        (512, "did you mean '512Mi'?"),
        ("512m", "did you mean '512Mi'?"),
        (4, "did you mean '4Gi'?"),
        ("8Ei", ""),
        ("100k", ""),
        (0, ""),
        (-1, ""),
        (True, ""),
        (float("inf"), ""),
    ],
    ids=repr,
)
def test_memory_is_a_quantity_of_bytes_and_a_slip_of_units_is_named(memory, hint):
    message, note = refused(lambda: Dask(workers={"resources": {"memory": memory}}))
    assert message.startswith(f"workers.resources.memory: {memory!r} was given, a quantity such as '512Mi'")
    assert hint in note
    assert bool(hint) == bool(note)


@pytest.mark.parametrize(
    ("owner", "values", "path"),
    [
        (Resources, {"cpu": 0}, "Resources.cpu"),
        (Resources, {"cpu": "0.5m"}, "Resources.cpu"),
        (Resources, {"cpu": "auto"}, "Resources.cpu"),
        (Resources, {"cpu": (2, 1)}, "Resources.cpu"),
        (Resources, {"cpu": (1, 2, 3)}, "Resources.cpu"),
        (Resources, {"cpu": (1, None)}, "Resources.cpu.limit"),
        (Resources, {"memory": ("1Gi", "1G")}, "Resources.memory"),
        (Resources, {"gpu": "2"}, "Resources.gpu"),
        (Resources, {"gpu": "A100:0"}, "Resources.gpu"),
        (Resources, {"gpu": -1}, "Resources.gpu"),
        (Resources, {"gpu": True}, "Resources.gpu"),
        (Resources, {"gpu": (1, 2)}, "Resources.gpu"),
        (Scheduler, {"image": ""}, "Scheduler.image"),
        (Scheduler, {"image": "my image"}, "Scheduler.image"),
        (Scheduler, {"image": {"name": "x"}}, "Scheduler.image"),
        (Scheduler, {"resources": "2Gi"}, "Scheduler.resources"),
        (Scheduler, {"env": ["A=1"]}, "Scheduler.env"),
        (Scheduler, {"env": {"A B": "1"}}, "Scheduler.env"),
        (Scheduler, {"env": {"A": "\x00"}}, "Scheduler.env.A"),
        (WorkerGroup, {"number_of_workers": 5, "max_workers": 4}, "WorkerGroup.max_workers"),
        (WorkerGroup, {"local_directory": " "}, "WorkerGroup.local_directory"),
        (WorkerGroup, {"abstract_resources": {"GPU": 0}}, "WorkerGroup.abstract_resources.GPU"),
        (WorkerGroup, {"abstract_resources": {"A=B": 1}}, "WorkerGroup.abstract_resources"),
        (Dask, {"scheduler": None}, "scheduler"),
        (Dask, {"workers": [WorkerGroup()]}, "workers"),
        (Dask, {"worker_groups": {"default": WorkerGroup()}}, "worker_groups"),
        (Dask, {"worker_groups": {"Big": WorkerGroup()}}, "worker_groups"),
        (Dask, {"worker_groups": {"big": {"threads": 0}}}, "worker_groups.big.threads"),
        (Dask, {"worker_groups": {"big": {"thread": 1}}}, "worker_groups.big"),
        (Dask, {"min_workers": 2}, "min_workers"),
        (Dask, {"worker_groups": {"big": WorkerGroup()}, "min_workers": 1}, "min_workers"),
        (Dask, {"start_timeout": 0}, "start_timeout"),
        (Dask, {"start_timeout": None}, "start_timeout"),
        (Dask, {"start_timeout": 10**400}, "start_timeout"),
        (Dask, {"max_lifetime": float("inf")}, "max_lifetime"),
        (Dask, {"max_lifetime": "10m"}, "max_lifetime"),
        (Dask, {"config": {"distributed.worker": 1}}, "config"),
        (Dask, {"config": {"a": [{"b": {1}}]}}, "config.a[0].b"),
        (Dask, {"config": {"a": float("nan")}}, "config.a"),
        (Dask, {"config": {"a": {1: 2}}}, "config.a"),
        (Dask, {"config": {"a": "\ud800"}}, "config.a"),
        (Dask, {"config": CYCLE}, f"config{'.again' * 51}"),
        (Dask, {"provisioner_options": {"local": 3}}, "provisioner_options.local"),
    ],
    ids=lambda value: "" if isinstance(value, str) else getattr(value, "__name__", None) or repr(value),
)
def test_a_wrong_value_is_refused_at_its_path(owner, values, path):
    message, _ = refused(lambda: owner(**values))
    assert message.startswith(f"{path}: ")


def test_an_unknown_key_of_a_nested_mapping_names_the_nearest():
    message, _ = refused(lambda: Dask(workers={"resources": {"memroy": "4Gi"}}))
    assert message.startswith("workers.resources: unknown key 'memroy'")
    assert message.endswith("did you mean 'memory'?")


@pytest.mark.parametrize("value", [True, 1, None, 1.5])
def test_an_environment_variable_that_is_no_string_is_to_be_quoted_and_not_shown(value):
    message, note = refused(lambda: WorkerGroup(env={"DEBUG": value}))
    expected = (
        f"a value of type {type(value).__name__} was given, a string without null characters is expected"
    )
    assert message == f"WorkerGroup.env.DEBUG: {expected}"
    assert "quote it" in note


def test_a_list_of_groups_does_not_show_their_environment():
    message, _ = refused(lambda: Dask(workers=[{"env": {"TOKEN": "s3cret"}}]))
    expected = "a value of type list was given, a WorkerGroup or a mapping with its fields is expected"
    assert message == f"workers: {expected}"


def test_a_failed_construction_leaves_no_path_behind():
    refused(lambda: Dask(workers={"resources": {"memory": "lots"}}))
    assert refused(lambda: Resources(memory="lots"))[0].startswith("Resources.memory: ")


def test_a_long_value_is_cut():
    assert len(refused(lambda: Resources(memory="x" * 1000))[0]) < 200
