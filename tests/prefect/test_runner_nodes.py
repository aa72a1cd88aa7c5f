"""What the nodes of a runner's cluster need: Prefect where tasks run, and nothing of daskbridge anywhere."""

from __future__ import annotations

import pytest
from daskbridge_prefect import DaskTaskRunner
from tests.environments import driver_without, nodes, wait_for

from .runners import CODE, run, states, tasks


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Run a scheduler and a worker that have what this process has, but no daskbridge."""
    python = driver_without(tmp_path_factory.mktemp("env") / "env", "daskbridge")
    with nodes(tmp_path_factory.mktemp("nodes") / "nodes", python=python) as made:
        file = made.scheduler()
        made.worker(file, "one")
        yield wait_for(file, 1)


def test_they_need_nothing_of_daskbridge(api, address):
    def main():
        return tasks.parent.submit(2).result(), tasks.aincrement.submit(1).result()

    state = run(DaskTaskRunner(address=address, code=CODE), main)
    assert state.result() == (3, 2)
    assert states(api, state)["increment"] == ["COMPLETED"] * 2
