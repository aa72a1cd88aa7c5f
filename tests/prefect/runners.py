"""A flow under a DaskTaskRunner, with tasks that workers know from their bundle only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import dask
import pytest
from daskbridge_prefect import Dask, DaskTaskRunner, WorkerGroup
from prefect import flow

from daskbridge import CodeSpec, transient

FILE = Path(__file__).parent / "runner_tasks.py"
CODE = CodeSpec(roots=[], modules={"runner_tasks": FILE})
TWO = Dask(workers=WorkerGroup(2, threads=1), min_workers=2)


def _load():
    spec = importlib.util.spec_from_file_location("runner_tasks", FILE)
    module = sys.modules["runner_tasks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tasks = sys.modules.get("runner_tasks") or _load()


@pytest.fixture(scope="module")
def cluster():
    """Start two workers that many flows use: importing Prefect takes each of them seconds."""
    with dask.config.set({"daskbridge.tls": False}), transient(TWO, code=False) as made:
        yield made


@pytest.fixture
def runner(api, cluster):
    """Give a runner on them."""
    return DaskTaskRunner(address=cluster.scheduler_address, code=CODE)


@pytest.fixture
def alone(api):
    """Give a runner that has a cluster of its own."""
    return DaskTaskRunner(cluster=TWO, code=CODE)


def run(runner, body, **options):
    """Run a flow with that body; return its final state."""
    return flow(body, task_runner=runner, name=body.__name__, **options)(return_state=True)


def states(api, state, number):
    """Return the API's word for each task run of a flow that has ended, by the task's name."""
    found = {}
    for each in api.task_runs(state.state_details.flow_run_id, number):
        found.setdefault(each["name"].rpartition("-")[0], []).append(each["state_type"])
    return {name: sorted(types) for name, types in found.items()}
