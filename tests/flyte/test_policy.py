"""A site's plugin adjusts what is deployed of a task's topology, or what would be lost is refused."""

from __future__ import annotations

import pytest

from .wire import run


@pytest.fixture
def policy(tmp_path):
    """Define a task where a site's plugin adjusts topologies; tell its DaskJob, or how it was refused."""

    def define(adjustment):
        info = tmp_path / "site_policy-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: site-policy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[daskbridge]\nsite-policy = site_policy\n")
        (tmp_path / "site_policy.py").write_text(f"""
from dataclasses import replace
from daskbridge.plugins import hookimpl

@hookimpl
def daskbridge_topology(topology, target):
    return replace(topology, {adjustment}) if target.name == "flyte" else None
""")
        return run(
            """
            import json, flyte
            from flyte.models import SerializationContext
            from daskbridge.errors import DaskbridgeError
            from daskbridge_flyte import Dask, WorkerGroup

            topology = Dask(workers=WorkerGroup(4))
            env = flyte.TaskEnvironment("dask_env", plugin_config=topology)

            @env.task
            async def main() -> int: ...

            try:
                told = main.custom_config(SerializationContext(version="v"))
            except DaskbridgeError as error:
                told = f"{type(error).__name__}: {error}"
            assert main.plugin_config is topology and topology == Dask(workers=WorkerGroup(4))
            print(json.dumps(told))
            """,
            tmp_path,
        )

    return define


def test_a_plugin_adjusts_what_is_deployed_and_leaves_the_task_s_topology(policy):
    told = policy("workers=replace(topology.workers, number_of_workers=2)")
    assert told == {"scheduler": {}, "workers": {"numberOfWorkers": 2}}


@pytest.mark.parametrize(
    ("adjustment", "said"),
    [
        ("max_lifetime=60", "UnsupportedByTarget: the target 'flyte' can't do"),
        ("config={'a': 1}", "UnsupportedByTarget: a plugin changes config"),
    ],
    ids=["not possible", "too late"],
)
def test_a_plugin_can_t_ask_what_would_be_lost(policy, adjustment, said):
    assert said in policy(adjustment)
