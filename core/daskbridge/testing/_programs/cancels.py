"""Runs that are cancelled: while their cluster is provisioned, and while their body waits."""

from __future__ import annotations

import threading
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
    driver.listen(lambda heard: _set_after(heard, early))
    driver.observe("early", lambda: outcome(driver, lambda: driver.run(topology, "fail", cancel=early)))
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


def _set_after(heard: Heard, early: threading.Event) -> None:
    """Set the event when provisioning has gone on for an interval of the steps, or is over already."""
    if heard.step == "provision" and heard.state != "started":
        early.set()
