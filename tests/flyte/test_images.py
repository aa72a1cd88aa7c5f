"""Image objects of Flyte's in a topology are named as Flyte has built them."""

from __future__ import annotations

import flyte
import pytest
from daskbridge_flyte import Dask, Scheduler, WorkerGroup

from daskbridge.errors import TopologyError

from .wire import custom

BUILT = {
    "between": "registry.invalid/between:1",
    "dask_env": "registry.invalid/dask_env:1",
    "nodes": "registry.invalid/nodes:1",
}
AUTO = flyte.Image.from_debian_base()
LAYERED = AUTO.clone(name="layered", extendable=True).with_pip_packages("dask[distributed]")
NAMED = flyte.Image.from_debian_base(name="named", registry="registry.invalid")
BY_NAME = flyte.Image.from_ref_name("ours")


def scheduler_image(image, *, of_task="auto", of_nodes=None, images=BUILT):
    """Return what is deployed as the scheduler's image."""
    nodes = [flyte.TaskEnvironment("nodes", image=of_nodes)] if of_nodes else []
    env = flyte.TaskEnvironment(
        "dask_env",
        image=of_task,
        depends_on=[between := flyte.TaskEnvironment("between", depends_on=nodes)],
        plugin_config=Dask(Scheduler(image), WorkerGroup(image="dask:1")),
    )
    between.depends_on.append(env)  # a circle must not be followed for ever

    @env.task
    async def body() -> int: ...

    found = custom(body, images)
    assert found["workers"]["image"] == "dask:1"
    return found["scheduler"]["image"]


@pytest.mark.parametrize("image", [LAYERED, NAMED, BY_NAME], ids=["layers", "a name of its own", "by name"])
def test_an_image_of_an_environment_that_the_task_s_own_depends_on(image):
    assert scheduler_image(image, of_nodes=image) == BUILT["nodes"]


@pytest.mark.parametrize("image", [LAYERED, BY_NAME], ids=["layers", "by name"])
def test_the_task_s_own_image(image):
    assert scheduler_image(image, of_task=image) == BUILT["dask_env"]


def test_the_image_that_flyte_chooses_for_a_task_without_one():
    assert scheduler_image(AUTO) == BUILT["dask_env"]


def test_an_image_that_is_used_as_it_is_needs_no_environment():
    assert scheduler_image(flyte.Image.from_base("dask:2")) == "dask:2"
    assert scheduler_image(flyte.Image.from_base("dask:2"), images=None) == "dask:2"


@pytest.mark.parametrize(
    ("image", "name"),
    [(LAYERED, "layered"), (NAMED, "named"), (BY_NAME, "ours")],
    ids=["layers", "a name of its own", "by name"],
)
def test_an_image_that_nobody_builds_is_refused_with_advice(image, name):
    with pytest.raises(
        TopologyError, match=f"dask_env.body': the image '{name}' of its scheduler or workers is"
    ) as caught:
        scheduler_image(image, of_nodes=AUTO)
    assert "list that in depends_on" in str(caught.value)


def test_an_image_by_name_is_found_after_flyte_has_given_it_a_base():
    nodes = flyte.TaskEnvironment("nodes", image=BY_NAME)
    topology = Dask(Scheduler(BY_NAME))
    env = flyte.TaskEnvironment("dask_env", image="dask:1", depends_on=[nodes], plugin_config=topology)

    @env.task
    async def body() -> int: ...

    nodes.image = nodes.image.clone(base_image="registry.invalid/ours:1")  # as Flyte does before it builds
    assert custom(body, BUILT)["scheduler"] == {"image": BUILT["nodes"]}


def test_a_definition_looks_at_none_of_an_image_s_files(tmp_path):
    (tmp_path / "requirements.txt").write_text("dask")
    image = LAYERED.with_requirements(tmp_path / "requirements.txt")
    (tmp_path / "requirements.txt").unlink()  # as in the task's pod
    assert scheduler_image(image, of_nodes=image) == BUILT["nodes"]
