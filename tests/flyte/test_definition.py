"""A task whose environment has a topology, from its definition to what other tasks are made of it."""

from __future__ import annotations

import asyncio
import copy
import pickle
from dataclasses import replace
from inspect import signature

import cloudpickle
import flyte
import pytest
from daskbridge_flyte import Dask, DaskTask, Resources, Scheduler, WorkerGroup

from daskbridge.errors import TopologyError, UnsupportedByTarget

from .wire import custom

TOPOLOGY = Dask(
    Scheduler(resources=Resources(cpu=1)), WorkerGroup(4), config={"array": {"chunk-size": "1MiB"}}
)
DEFAULT = {"scheduler": {}, "workers": {"numberOfWorkers": 1}}

overrides_plugin_config = pytest.mark.skipif(
    "plugin_config" not in signature(DaskTask.override).parameters,
    reason="this version of Flyte can't override a task's plugin_config",
)


def defined(topology=None, **environment):
    env = flyte.TaskEnvironment("dask_env", plugin_config=topology, **environment)

    @env.task
    async def square(n: int) -> int:
        return n * n

    return square


def test_a_task_keeps_the_topology_itself():
    task = defined(TOPOLOGY)
    assert type(task) is DaskTask
    assert task.plugin_config is TOPOLOGY
    assert task.task_type == "dask"


def test_outside_of_flyte_the_task_is_the_plain_function():
    assert asyncio.run(defined(TOPOLOGY)(3)) == 9


@overrides_plugin_config
@pytest.mark.parametrize("before", [None, Dask(config={"a": 1})], ids=["a plain task", "a Dask task"])
def test_override_gives_a_task_another_topology(before):
    task = defined(before, env_vars={"A": "1"})
    other = task.override(plugin_config=TOPOLOGY)
    assert type(other) is DaskTask
    assert other.plugin_config is TOPOLOGY
    assert custom(other)["workers"] == {"numberOfWorkers": 4.0}
    assert task.plugin_config is before
    assert other.env_vars == defined(TOPOLOGY, env_vars={"A": "1"}).env_vars


@overrides_plugin_config
def test_override_with_another_plugin_makes_its_task_without_what_was_ours():
    plugin = pytest.importorskip("flyteplugins.dask", reason="flyteplugins-dask is not installed here")
    other = defined(TOPOLOGY, env_vars={"A": "1"}).override(plugin_config=plugin.Dask())
    assert type(other).__module__ == "flyteplugins.dask.task"
    assert other.env_vars == {"A": "1"}
    assert custom(other) == {"scheduler": {}, "workers": {"numberOfWorkers": 1.0}}


@pytest.mark.parametrize(
    "remade",
    [
        replace,
        copy.copy,
        copy.deepcopy,
        lambda task: task.override(short_name="other"),
        lambda task: cloudpickle.loads(cloudpickle.dumps(task)),
    ],
    ids=["replace", "copy", "deepcopy", "override", "cloudpickle"],
)
def test_a_task_made_of_a_task_has_an_equal_topology(remade):
    task = defined(TOPOLOGY, env_vars={"A": "1"})
    other = remade(task)
    assert type(other) is DaskTask
    assert other is not task
    assert other.plugin_config == TOPOLOGY
    assert other.env_vars == task.env_vars
    assert custom(other) == custom(task)


@pytest.mark.parametrize(
    "remade",
    [
        copy.deepcopy,
        lambda topology: pickle.loads(pickle.dumps(topology)),  # noqa: S301 -- it was written here
    ],
    ids=["deepcopy", "pickle"],
)
def test_a_copied_topology_defines_the_same_task(remade):
    topology = Dask(Scheduler(flyte.Image.from_debian_base()), TOPOLOGY.workers, config=TOPOLOGY.config)
    assert remade(topology) == topology
    assert custom(defined(remade(topology))) == custom(defined(topology))


REFUSED = {
    "worker groups": (
        {"worker_groups": {"big": WorkerGroup()}},
        "worker_groups=big: it can't run several groups of workers",
        "a DaskJob has one group: put all workers in `workers`",
    ),
    "adaptivity": (
        {"workers": WorkerGroup(max_workers=8)},
        "workers.max_workers=8: it can't vary the number of workers",
        "set number_of_workers to what the work needs",
    ),
    "a GPU": (
        {"workers": WorkerGroup(resources=Resources(gpu="A100:2"))},
        "workers.resources.gpu='A100:2': it can't give nodes GPUs",
        "ask for them in the environment's resources",
    ),
    "a GPU of Flyte's": (
        {"workers": WorkerGroup(resources=flyte.Resources(gpu="T4:1"))},
        "workers.resources.gpu='T4:1': it can't give nodes GPUs",
        "give the scheduler resources without a GPU",
    ),
    "shared memory": (
        {"scheduler": Scheduler(resources=Resources(shm="auto"))},
        "scheduler.resources.shm='auto': it can't give nodes shared memory",
        "flyte.Resources(shm=...) reaches all pods",
    ),
    "variables": (
        {"scheduler": Scheduler(env={"A": "1"}), "workers": WorkerGroup(env={"TOKEN": "s3cret"})},
        "workers.env={'TOKEN': ...}: it can't set environment variables of single nodes",
        "set the variables in the environment's env_vars, which reach all pods",
    ),
    "a lifetime": (
        {"max_lifetime": 60},
        "max_lifetime=60.0: it can't end the cluster",
        "set the task's timeout: the cluster ends with the task",
    ),
}


@pytest.mark.parametrize(("asked", "said", "advice"), REFUSED.values(), ids=REFUSED)
def test_what_the_backend_can_t_do_is_refused_at_definition_with_advice(asked, said, advice):
    with pytest.raises(UnsupportedByTarget, match="the target 'flyte' can't do") as caught:
        defined(Dask(**asked))
    assert said in str(caught.value)
    assert advice in str(caught.value)


WRONG = {
    "threads without CPUs": ({"threads": 4}, "workers.threads: 4 was given, with no resources.cpu", "cpu=4"),
    "threads that are not the CPUs": (
        {"threads": 4, "resources": Resources(cpu=(1, "2500m"))},
        r"workers.threads: 4 was given, with resources.cpu=\(1, '2500m'\)",
        "cpu=4",
    ),
    "image='auto'": ({"image": "auto"}, "workers.image: 'auto' was given", "leave image out"),
    "an image that is none": ({"image": object()}, "workers.image: <object object", None),
    "an image's class": ({"image": flyte.Image}, "workers.image: <class 'flyte._image.Image'>", None),
    "a limit of disk space": (
        {"resources": Resources(disk=("1Gi", "2Gi"))},
        r"workers.resources.disk: \('1Gi', '2Gi'\) was given, but Flyte knows no limit of disk space",
        "write disk='1Gi'",
    ),
    "more workers than 32 bits": ({"number_of_workers": 2**32}, "at most 4294967295 is expected", None),
}


@pytest.mark.parametrize(("group", "said", "hint"), WRONG.values(), ids=WRONG)
def test_what_a_dask_job_can_t_hold_is_refused_at_definition(group, said, hint):
    with pytest.raises(TopologyError, match=said) as caught:
        defined(Dask(workers=WorkerGroup(**group)))
    assert hint is None or hint in str(caught.value)


def test_options_are_for_other_provisioners():
    assert custom(defined(Dask(provisioner_options={"flyte": {}, "local": {"exact": True}}))) == DEFAULT
    with pytest.raises(TopologyError, match="provisioner_options.flyte: unknown option 'image'"):
        defined(Dask(provisioner_options={"flyte": {"image": "x"}}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"number_of_workers": 0}, "number_of_workers: 0 was given, a whole number of at least 1"),
        ({"number_of_workers": -1}, "number_of_workers: -1 was given"),
        ({"number_of_workers": "4"}, "number_of_workers: '4' was given"),
        ({"number_of_workers": True}, "number_of_workers: True was given"),
        ({"resources": {"memory": "lots"}}, "resources.memory: 'lots' was given"),
        ({"resources": {"memory": "1GB"}}, "resources.memory: '1GB' was given"),
        ({"resources": flyte.Resources(memory="1GB")}, "resources.memory: '1GB' was given"),
        ({"resources": ["1Gi"]}, "resources: a value of type list was given"),
    ],
    ids=["0", "-1", "'4'", "True", "lots", "1GB", "1GB of Flyte's", "list"],
)
def test_a_wrong_value_is_refused_where_it_is_written(values, said):
    with pytest.raises(TopologyError, match=said):
        WorkerGroup(**values)


def test_none_means_one_worker_as_before():
    assert custom(defined(Dask(workers=WorkerGroup(None)))) == DEFAULT
