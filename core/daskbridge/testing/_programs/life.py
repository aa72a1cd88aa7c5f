"""A whole life of a cluster, and a second one: code on all nodes, workers, steps, what is left."""

from __future__ import annotations

import time
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

from daskbridge.testing._programs._nodes import (
    late_worker,
    on_workers,
    wait_for,
    who,
    workers,
)
from daskbridge.testing._state import changes, state
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.testing._driver import Driver

#: How many workers are asked for.
NUMBER = 2
#: Seconds between two tellings of a step that lasts, as set for this program, and how many are timed.
INTERVAL, TELLINGS = 0.2, 3


def play(driver: Driver) -> None:
    """Run a body twice."""
    from daskbridge.topology import Dask, WorkerGroup

    topology = driver.topology(Dask(workers=WorkerGroup(NUMBER)))
    driver.report("token", driver.project.token)
    driver.report("code", driver.project.tokens)
    driver.prepare()
    before = state(driver.order["leaves"])
    driver.observe("result", lambda: driver.run(topology, partial(_body, driver)))
    if "result" not in driver.told:
        return
    driver.report("steps", [[each.step, each.state] for each in driver.heard if not each.run.shared])
    cluster = driver.told["cluster"]
    driver.observe("left", lambda: driver.left(cluster))
    driver.observe("changes", lambda: changes(before, 5, driver.order["leaves"]))
    again = partial(driver.observe, "second", partial(_again, driver))
    driver.observe("run of second", lambda: driver.run(topology, again))


def _body(driver: Driver) -> str:
    from distributed import get_client

    client = get_client()
    driver.observe("dashboard", lambda: _dashboard(driver))
    driver.report("scheduler id", client.scheduler_info(n_workers=0)["id"])
    driver.hide()
    driver.observe("number", lambda: wait_for(driver, client, NUMBER))
    driver.observe("code on the scheduler", lambda: client.run_on_scheduler(driver.entry.code))
    shipped = driver.observe("code on workers", lambda: on_workers(driver, client, driver.entry.code))
    driver.observe("workers", lambda: len(workers(client)))
    if shipped:  # else each look would take as long as it may
        driver.observe("passed on", lambda: _passed_on(driver, client))
        driver.observe("late", lambda: _late(driver, client))
    driver.observe("told again", lambda: _tellings(driver))
    driver.observe("cluster", lambda: who(driver, client))
    return driver.project.token


def _again(driver: Driver) -> list[Any]:
    from distributed import get_client

    client = get_client()
    return [client.scheduler_info(n_workers=0)["id"], on_workers(driver, client, driver.entry.code)]


def _passed_on(driver: Driver, client: Client) -> list[int]:
    """Double a number on one worker after the other, and in a graph."""
    from dask.delayed import delayed

    double = driver.entry.double
    passed: Any = 1
    for _, address in zip(range(NUMBER), cycle(workers(client)), strict=False):
        passed = client.submit(double, passed, workers=[address], pure=False)
    graph = client.compute(delayed(double)(delayed(double)(1)))
    return [each.result(driver.patience) for each in (passed, graph)]


def _late(driver: Driver, client: Client) -> Any:  # noqa: ANN401 -- what JSON can hold
    with late_worker(driver, client) as address:
        if address is None:
            return None
        return client.submit(driver.entry.code, workers=[address], pure=False).result(driver.patience)


def _tellings(driver: Driver) -> float:
    """Return in how many seconds the body's step is told some times."""

    def told() -> int:
        return sum(each.step == "body" and each.state == "waiting" for each in driver.heard)

    before, began = told(), time.monotonic()
    until(told, driver.patience, "news of the body", wanted=lambda found: found >= before + TELLINGS)
    return time.monotonic() - began


def _dashboard(driver: Driver) -> Any:  # noqa: ANN401 -- as above
    """Open the link that plugins were told before the body began."""
    from importlib.util import find_spec

    ref = driver.heard[-1].run.ref
    link = None if ref is None else ref.dashboard_link
    if link is None:
        return {"link": None, "bokeh": find_spec("bokeh") is not None}
    with build_opener(ProxyHandler({})).open(link, timeout=30) as page:
        return {"link": link, "status": page.status}
