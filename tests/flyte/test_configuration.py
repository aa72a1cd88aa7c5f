"""Dask's configuration of a topology travels in the environment of all pods."""

from __future__ import annotations

from inspect import signature

import flyte
import pytest
from daskbridge_flyte import Dask, DaskTask, WorkerGroup

from daskbridge.errors import TopologyError

from .wire import run, to_wire

VARIABLE = "DASK_INTERNAL_INHERIT_CONFIG"
ASKS = Dask(
    workers=WorkerGroup(local_directory="/scratch", abstract_resources={"GPU": 2}),
    config={"array": {"chunk-size": "1MiB"}, "distributed": {"worker": {"resources": {"LICENCE": 1}}}},
)
OTHER = Dask(config={"array": {"chunk-size": "2MiB"}})


def defined(topology=None, env_vars=None):
    env = flyte.TaskEnvironment("dask_env", plugin_config=topology, env_vars=env_vars)

    @env.task
    async def body() -> int: ...

    return body


def in_force(task, directory):
    """Return what Dask reads in a pod: a process with the variables of the task's container."""
    container = to_wire(task).task_template.container
    environ = {pair.key: pair.value for pair in container.env}
    asked = [
        "array.chunk-size",
        "temporary-directory",
        "distributed.worker.resources",
        "distributed.comm.retry",
    ]
    program = f"""
        import json, os
        import dask.config, distributed
        print(json.dumps([os.environ.get("A"), *(dask.config.get(key) for key in {asked})]))
    """
    return run(program, directory, **environ)


def test_it_is_in_force_in_each_pod_beside_the_user_s_variables(tmp_path):
    env_vars = {"A": "1"}
    seen, chunk, directory, resources, retry = in_force(defined(ASKS, env_vars), tmp_path)
    assert (seen, chunk, directory) == ("1", "1MiB", "/scratch")
    assert resources == {"GPU": 2, "LICENCE": 1}
    assert retry["count"] == 0  # what nobody asked for stays as it is
    assert env_vars == {"A": "1"}


def test_a_field_of_the_workers_counts_more_than_the_configuration(tmp_path):
    topology = Dask(workers=ASKS.workers, config={"temporary-directory": "/elsewhere"})
    assert in_force(defined(topology), tmp_path)[2] == "/scratch"


def test_without_configuration_nothing_is_added():
    assert defined(Dask()).env_vars is None
    assert defined(Dask(), {"A": "1"}).env_vars == {"A": "1"}


def test_it_survives_other_variables(tmp_path):
    other = defined(ASKS, {"A": "1"}).override(env_vars={"A": "2"})
    assert in_force(other, tmp_path)[:3] == ["2", "1MiB", "/scratch"]


def test_it_survives_variables_made_of_the_task_s_own(tmp_path):
    task = defined(ASKS, {"A": "1"})
    assert in_force(task.override(env_vars={**task.env_vars, "A": "2"}), tmp_path)[:2] == ["2", "1MiB"]


@pytest.mark.skipif(
    "plugin_config" not in signature(DaskTask.override).parameters,
    reason="this version of Flyte can't override a task's plugin_config",
)
def test_another_topology_replaces_it(tmp_path):
    task = defined(ASKS, {"A": "1"})
    other = task.override(plugin_config=OTHER)
    assert in_force(other, tmp_path)[:3] == ["1", "2MiB", None]
    assert other.override(plugin_config=Dask()).env_vars == {"A": "1"}
    assert in_force(task, tmp_path)[1] == "1MiB"


def test_a_value_of_the_user_s_own_is_left_alone_or_refused(tmp_path):
    own = {VARIABLE: "eyJhIjogMX0="}
    assert defined(Dask(), own).env_vars == own
    with pytest.raises(TopologyError, match=f"env_vars has {VARIABLE}") as caught:
        defined(OTHER, own)
    assert "Dask(config=...)" in str(caught.value)
    with pytest.raises(TopologyError, match=VARIABLE):
        defined(OTHER).override(env_vars=own)
