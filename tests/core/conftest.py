"""What the tests of a run have in common: programs of a user's, and the end of processes."""

from __future__ import annotations

import psutil
import pytest
from tests.drivers import drive as programs
from tests.nodes import dask_nodes


@pytest.fixture
def drive(tmp_path):
    """Start ``main`` as a user's program beside the modules of ``files``."""
    yield from programs(tmp_path)


@pytest.fixture(scope="module")
def drive_module(tmp_path_factory):
    """Do the same once for a module of tests."""
    yield from programs(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def remote(tmp_path):
    """Give a cluster that is not there yet: its scheduler and its workers are started by a test."""
    with dask_nodes(tmp_path / "nodes") as made:
        yield made


@pytest.fixture(scope="session")
def gone():
    """Wait until none of some processes is left; a zombie of somebody else's is not left."""

    def wait(pids: list[int], timeout: float = 15) -> bool:
        found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        _, alive = psutil.wait_procs(found, timeout=timeout)
        return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())

    return wait
