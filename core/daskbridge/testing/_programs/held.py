"""A body that waits for its cluster: until it is interrupted, or the cluster is lost."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.testing._programs._nodes import pending, process, who
from daskbridge.testing._programs.endings import outcome

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.testing._driver import Driver


def play(driver: Driver) -> None:
    """Wait for a result that does not come."""
    from daskbridge.topology import Dask

    driver.run(driver.topology(Dask()), partial(_hold, driver))


def lose(driver: Driver) -> None:
    """Wait for a result after the scheduler was killed."""
    from daskbridge.topology import Dask

    if {"exclusive", "scheduler-process"} & driver.lacks:
        return
    topology = driver.topology(Dask())
    driver.observe("lost", lambda: outcome(driver, lambda: driver.run(topology, partial(_lose, driver))))
    driver.observe("left", lambda: driver.left(driver.told.get("cluster")))


def _hold(driver: Driver) -> Any:  # noqa: ANN401 -- it does not return
    client = _client()
    task = pending(client)
    driver.report("cluster", who(driver, client))
    driver.report("waits")
    return task.result()


def _lose(driver: Driver) -> Any:  # noqa: ANN401 -- as above
    client = _client()
    task = pending(client)
    driver.report("cluster", who(driver, client))
    driver.report("waits")
    scheduler = client.run_on_scheduler(process())
    if scheduler["pid"] == os.getpid():
        raise RuntimeError("the scheduler is in this process: say lacks = {'scheduler-process': ...}")
    with suppress(OSError):  # it can't answer any more
        client.run_on_scheduler(os.kill, scheduler["pid"], signal.SIGKILL)
    return task.result()


def _client() -> Client:
    from distributed import get_client

    client: Client = get_client()
    return client
