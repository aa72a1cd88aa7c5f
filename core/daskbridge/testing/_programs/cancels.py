"""Runs that are cancelled: while their cluster is provisioned, and while their body waits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from daskbridge.testing._programs._nodes import pending, who
from daskbridge.testing._programs.endings import outcome

if TYPE_CHECKING:
    from daskbridge.testing._driver import Driver
    from daskbridge.testing._recorder import Heard


def play(driver: Driver) -> None:
    """Cancel one run while it provisions, another one as soon as its body waits."""
    from daskbridge.topology import Dask

    topology = driver.topology(Dask())
    early, late = threading.Event(), threading.Event()
    driver.listen(lambda heard: early.set() if _has_gone_on(heard) else None)

    def start() -> dict[str, Any]:
        found = outcome(driver, lambda: driver.run(topology, "fail", cancel=early))
        cancelled = next(heard.at for heard in driver.heard if _has_gone_on(heard))
        return {**found, "seconds": time.monotonic() - cancelled}

    driver.observe("early", start)
    driver.observe("left of the start", driver.left)

    def wait() -> Any:  # noqa: ANN401 -- it does not return
        from distributed import get_client

        client = get_client()
        task = pending(client)
        driver.report("cluster", who(driver, client))
        late.set()
        return task.result()

    driver.observe("late", lambda: outcome(driver, lambda: driver.run(topology, wait, cancel=late)))
    driver.observe("left of the body", lambda: driver.left(driver.told.get("cluster")))


def _has_gone_on(heard: Heard) -> bool:
    """Tell whether provisioning has gone on for an interval of the steps, or is over already."""
    return heard.step == "provision" and heard.state != "started"
