"""What the nodes of a runner's cluster need."""

from __future__ import annotations

import pytest
from daskbridge_prefect import DaskTaskRunner
from tests.environments import driver_without
from tests.nodes import dask_nodes

from .runners import CODE, run, states, tasks


@pytest.fixture
def address(tmp_path, dask_python):
    """Run a scheduler that has Dask only, and a worker that has what this process has, but no daskbridge."""
    with dask_nodes(tmp_path / "nodes", dask_python) as made:
        made.scheduler()
        made.python = driver_without(tmp_path / "environment", "daskbridge")
        made.worker("one")
        yield made.wait_for(1)


def test_workers_need_prefect_and_no_node_needs_daskbridge(api, address):
    def main():
        return tasks.parent.submit(2).result(), tasks.aincrement.submit(1).result()

    state = run(DaskTaskRunner(address=address, code=CODE), main)
    assert state.result() == (3, 2)
    assert states(api, state, 4)["increment"] == ["COMPLETED"] * 2
