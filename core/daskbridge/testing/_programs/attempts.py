"""Tasks of an orchestrator that are tried again, or told to end."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.testing._left import there
from daskbridge.testing._programs._nodes import awho, pending, who
from daskbridge.testing._recorder import STUCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.testing._driver import Driver
    from daskbridge.testing._recorder import Heard
    from daskbridge.topology import Dask


def retried(driver: Driver) -> None:
    """Let the first attempt of a task fail, and see what is left of its cluster in the second."""
    from daskbridge.topology import Dask, WorkerGroup

    topology = driver.topology(Dask(workers=WorkerGroup(1)))
    attempts: list[list[Any]] = []

    def attempt() -> str:
        from distributed import get_client

        client = get_client()
        attempts.append([client.scheduler_info(n_workers=0)["id"], who(driver, client)])
        driver.report("schedulers", [scheduler for scheduler, _ in attempts])
        driver.report("cluster", attempts[-1][1])
        if len(attempts) == 1:
            raise driver.entry.Mistake("the first attempt fails")
        driver.report("left", there(*attempts[0][1]))
        return driver.project.token

    driver.report("token", driver.project.token)
    driver.observe("result", lambda: driver.run(topology, attempt, way="run_retried"))


def starting(driver: Driver) -> None:
    """Tell a task to end whose cluster never gets ready."""
    from daskbridge.topology import Dask, WorkerGroup

    waits = threading.Event()

    def listen(heard: Heard) -> None:
        if (heard.step, heard.state) == ("provision", "waiting") and not waits.is_set():
            waits.set()
            _tell_to_end(driver)

    driver.listen(listen)
    with driver.other_provisioner(STUCK):
        _run(driver, driver.topology(Dask(workers=WorkerGroup(1))), lambda: driver.report("body"))


def running(driver: Driver) -> None:
    """Tell a task to end whose body waits for a result."""
    from daskbridge.topology import Dask, WorkerGroup

    _run(driver, driver.topology(Dask(workers=WorkerGroup(1))), partial(_wait, driver))


def running_async(driver: Driver) -> None:
    """Tell a task to end whose ``async`` body waits for what never comes."""
    from daskbridge.topology import Dask, WorkerGroup

    topology = driver.topology(Dask(workers=WorkerGroup(1)))
    _run(driver, topology, partial(_await, driver), body="body_async")


async def _await(driver: Driver) -> None:
    from distributed import get_client

    driver.report("cluster", await awho(driver, get_client()))
    _tell_to_end(driver)
    await asyncio.Event().wait()
    driver.report("body")


def _wait(driver: Driver) -> None:
    from distributed import get_client

    client = get_client()
    driver.report("cluster", who(driver, client))
    task = pending(client)
    _tell_to_end(driver)
    task.result()
    driver.report("body")


def _tell_to_end(driver: Driver) -> None:
    """Have the task told to end, as if by somebody else: in another thread, and soon."""

    def tell() -> None:
        driver.report("told")
        driver.observe("cancel", driver.suite.cancel)

    threading.Thread(target=tell, daemon=True).start()


def _run(driver: Driver, topology: Dask, watched: Callable[[], object], **options: str) -> None:
    """Run a body, and say in what error its task ends."""
    try:
        driver.run(topology, watched, **options)
    except BaseException as error:
        driver.report("ended", repr(error))
        raise
