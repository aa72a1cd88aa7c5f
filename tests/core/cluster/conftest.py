"""Local clusters of both flavours: nodes that are forked, and nodes that are fresh interpreters."""

from __future__ import annotations

import threading
import time

import dask.config
import pytest


@pytest.fixture(scope="module", params=["fork", "spawn"])
def flavour(request):
    """Start local nodes in one of the two ways, for the tests of a module."""
    with dask.config.set({"daskbridge.local-start": request.param}):
        yield request.param


@pytest.fixture(scope="session")
def eventually():
    """Ask until the answer is one to go on with, for a bounded time; return it."""

    def ask(question, wanted=bool, timeout=15):
        pause, end = threading.Event(), time.monotonic() + timeout
        while not wanted(answer := question()):
            assert time.monotonic() < end, f"still {answer!r} after {timeout} s"
            pause.wait(0.02)
        return answer

    return ask


@pytest.fixture(scope="session")
def by_name():
    """Run a function on every worker of a cluster; return the answers by the worker's name."""

    def run(cluster, function, *arguments):
        answers = cluster.client.run(function, *arguments)
        workers = cluster.client.scheduler_info(n_workers=-1)["workers"]
        return {workers[address]["name"]: answer for address, answer in answers.items()}

    return run


@pytest.fixture(scope="session")
def names():
    """Tell the names of the workers that are there."""

    def tell(cluster):
        return {worker["name"] for worker in cluster.client.scheduler_info(n_workers=-1)["workers"].values()}

    return tell
