"""One Prefect server for all tests; tasks that run in pytest's own process, and programs of a user's."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import tempfile
import warnings
from pathlib import Path

import pytest

#: Prefect reads it when it is imported, and must not touch the user's.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="daskbridge-prefect-")

from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_BATCH_INTERVAL,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)
from tests import drivers
from tests.dask_only import dask_only
from tests.nodes import dask_nodes

from daskbridge.cluster._local import LocalProvisioner

from .runners import alone, cluster, runner  # noqa: F401 -- fixtures of the runner's tests
from .server import serving, until

HERE = Path(__file__).parent

#: What a program begins with. Prefect's names win: a star import would bring our ``on_dask`` for functions.
PRELUDE = f"""{drivers.PRELUDE}
import distributed
from daskbridge_prefect import dask_task, on_dask
from prefect import flow, task
from prefect.context import FlowRunContext, TaskRunContext
"""


def pytest_collection_modifyitems(items):
    """Let Prefect leave connections of its background threads to the garbage collector."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session", autouse=True)
def collected():
    """Let none of them be found in tests of others, nor when pytest ends."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    shutil.rmtree(os.environ["PREFECT_HOME"])


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Give a real server: SQLite, loopback."""
    with serving(tmp_path_factory.mktemp("prefect")) as running:
        yield running
        APILogHandler().flush()  # before nobody listens any more


@pytest.fixture
def api(server):
    """Let the flows of pytest's own process report to the server; give it."""
    settings = {
        PREFECT_API_URL: server.url,
        PREFECT_LOGGING_TO_API_BATCH_INTERVAL: 0.2,
        # Prefect warns of its own last line about a task outside of a flow
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
    }
    with temporary_settings(settings):
        yield server


@pytest.fixture
def started(monkeypatch):
    """List the schedulers of the local clusters that this process starts."""
    found = []
    provision = LocalProvisioner.provision

    async def listed(self, *arguments):
        handle = await provision(self, *arguments)
        found.append(handle.ref.scheduler_address)
        return handle

    monkeypatch.setattr(LocalProvisioner, "provision", listed)
    return found


@pytest.fixture
def ended():
    """Tell whether nothing listens any more where schedulers did."""

    def listens(address):
        host, _, port = address.partition("://")[2].partition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def all_ended(addresses, seconds=20):
        return until(lambda: not any(map(listens, addresses)), bool, seconds)

    return all_ended


@pytest.fixture
def drive(tmp_path, server):
    """Start ``main`` and modules of a user's as a program; it has ``hide()``, ``report()`` and the server."""
    yield from drivers.drive(tmp_path, prelude=PRELUDE, **server.environ)


@pytest.fixture(scope="session")
def dask_python(tmp_path_factory):
    """Give the interpreter of an environment with dask and distributed, without Prefect and daskbridge."""
    return dask_only(tmp_path_factory.mktemp("dask-only"))


@pytest.fixture
def bare_nodes(tmp_path, dask_python):
    """Give the address of a cluster whose nodes have dask only, and no variable of Prefect's."""
    with dask_nodes(tmp_path / "nodes", dask_python) as made:
        made.scheduler()
        made.worker("one")
        yield made.wait_for(1)
