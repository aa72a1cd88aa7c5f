"""The DaskJob of a topology is the upstream plugin's own, to the byte."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from inspect import signature
from types import SimpleNamespace

import daskbridge_flyte
import flyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .wire import to_wire

upstream = pytest.importorskip("flyteplugins.dask", reason="flyteplugins-dask is not installed here")

MEMORY = st.integers(1, 2**20).map(lambda number: f"{number}Mi")
CPU = (
    st.integers(1, 512)
    | st.integers(1, 9999).map(lambda number: f"{number}m")
    | st.sampled_from([0.5, 1.25, "3"])
)


def amount(one, key):
    """Generate a quantity, or a pair of them in order."""
    return one | st.tuples(one, one).map(lambda pair: tuple(sorted(pair, key=key)))


def milli(cpu):
    return int(cpu[:-1]) if str(cpu).endswith("m") else float(cpu) * 1000


RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "cpu": amount(CPU, milli),
        "memory": amount(MEMORY, lambda text: int(text[:-2])),
        "disk": MEMORY,
    },
)
NODE = st.fixed_dictionaries(
    {}, optional={"image": st.sampled_from(["ghcr.io/dask/dask:1", "dask@sha256:0"]), "resources": RESOURCES}
)
GROUP = st.builds(
    lambda node, number: node | number,
    NODE,
    st.fixed_dictionaries({}, optional={"number_of_workers": st.integers(1, 2**32 - 1)}),
)
CLASSES = {
    "theirs": SimpleNamespace(**vars(upstream), Resources=flyte.Resources),
    "ours": daskbridge_flyte,
    "ours, with Flyte's Resources": SimpleNamespace(
        **vars(daskbridge_flyte) | {"Resources": flyte.Resources}
    ),
}


async def body(n: int) -> int:
    return n


def message(classes, scheduler, workers):
    """Return what is deployed of one task with the topology in the classes of a plugin."""

    def node(kind, values):
        made = {
            name: classes.Resources(**each) if name == "resources" else each for name, each in values.items()
        }
        return kind(**made)

    topology = classes.Dask(node(classes.Scheduler, scheduler), node(classes.WorkerGroup, workers))
    env = flyte.TaskEnvironment("dask_env", plugin_config=topology, resources=flyte.Resources(cpu=1))
    return to_wire(env.task(body)).SerializeToString(deterministic=True)


@given(NODE, GROUP)
def test_all_that_is_deployed_is_the_same_to_the_byte(scheduler, workers):
    expected = message(CLASSES["theirs"], scheduler, workers)
    for name in ("ours", "ours, with Flyte's Resources"):
        assert message(CLASSES[name], scheduler, workers) == expected


def test_the_json_has_the_same_keys_in_the_same_order():
    def written(classes):
        resources = classes.Resources(cpu=(1, "1500m"), memory=("1Gi", "2Gi"), disk="10Gi")
        scheduler = classes.Scheduler("dask:1", resources)
        topology = classes.Dask(scheduler, classes.WorkerGroup(4, "dask:2", resources))
        task = flyte.TaskEnvironment("dask_env", plugin_config=topology).task(body)
        return json.dumps(task.custom_config(flyte.models.SerializationContext(version="v")))

    assert written(CLASSES["ours"]) == written(CLASSES["theirs"])


def described(made, theirs):
    """Return the values of the fields that the upstream class has, nested objects likewise."""
    values = {each.name: (getattr(made, each.name), getattr(theirs, each.name)) for each in fields(theirs)}
    return {name: described(*pair) if is_dataclass(pair[1]) else pair[0] for name, pair in values.items()}


@pytest.mark.parametrize("name", ["Dask", "Scheduler", "WorkerGroup"])
def test_a_class_takes_the_upstream_arguments_in_their_order_with_their_defaults(name):
    theirs, ours = getattr(upstream, name), getattr(daskbridge_flyte, name)
    names = list(signature(theirs).parameters)
    positional = [
        each.name for each in signature(ours).parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    assert positional == names
    assert described(ours(), theirs()) == described(theirs(), theirs())
