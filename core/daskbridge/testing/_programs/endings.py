"""Bodies and starts that fail, one after the other, in a process that goes on."""

from __future__ import annotations

import traceback
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.testing import _recorder
from daskbridge.testing._programs._nodes import who

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.testing._driver import Driver
    from daskbridge.topology import Dask

#: The parts of a start's seconds after which the next one is late; it may be quicker than the one before.
TOO_SHORT = (0.3, 0.1, 0.03, 0.01)


def play(driver: Driver) -> None:
    """Let a body fail, a body and the tear-down after it, and a start that takes too long."""
    from daskbridge.topology import Dask

    topology = driver.topology(Dask())
    driver.report("token", driver.project.token)
    vars(driver.entry)["watched"] = partial(_failing, driver)
    driver.observe("failed", lambda: outcome(driver, lambda: driver.run(topology, None)))
    driver.observe("left of it", lambda: driver.left(driver.told.get("cluster")))
    with driver.other_provisioner(_recorder.RUDE):
        driver.observe("rude", lambda: outcome(driver, lambda: _named_nowhere(driver, topology)))
    driver.observe("too late", lambda: _too_late(driver, topology))
    driver.observe("left of that", driver.left)


def outcome(driver: Driver, call: Callable[[], object]) -> dict[str, Any]:
    """Return the error in which a call ends, as a person would read it."""
    from daskbridge.errors import DaskbridgeError, ProvisioningError

    try:
        call()
    except BaseException as error:  # noqa: BLE001 -- whatever it is
        frames = traceback.extract_tb(error.__traceback__)
        return {
            "type": type(error).__name__,
            "user's": type(error) is driver.entry.Mistake,
            "named as it": type(error).__name__ == driver.entry.Mistake.__name__,
            "daskbridge's": isinstance(error, DaskbridgeError),
            "of provisioning": isinstance(error, ProvisioningError),
            "message": str(error),
            "notes": getattr(error, "__notes__", []),
            "functions": [frame.name for frame in frames],
        }
    return {"type": None, "user's": False, "message": "it did not fail"}


def _failing(driver: Driver) -> None:
    from distributed import get_client

    driver.report("cluster", who(driver, get_client()))
    driver.entry.fail()


def _too_late(driver: Driver, topology: Dask) -> dict[str, Any]:
    found: dict[str, Any] = {}
    seconds = _seconds_to_start(driver)
    for part in TOO_SHORT:
        hasty = replace(topology, start_timeout=part * seconds)
        found = outcome(driver, partial(driver.run, hasty, "fail"))
        if not found["user's"]:
            break
    return found


def _seconds_to_start(driver: Driver) -> float:
    """Return how long the last cluster took that got ready: a start of less is given up half-way."""
    began = [each.at for each in driver.heard if (each.step, each.state) == ("provision", "started")]
    ready = [each.at for each in driver.heard if (each.step, each.state) == ("ready", "done")]
    return ready[-1] - began[-1]


def _named_nowhere(driver: Driver, topology: Dask) -> Any:  # noqa: ANN401 -- what the body returns
    """Run a body whose provisioner is the setting's."""
    options: dict[str, Any] = {} if "suite" in driver.order else {"provisioner": None}
    return driver.run(topology, "fail", **options)
