"""Look a provisioner up and validate, in a process that has imported nothing yet."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from daskbridge.testing._driver import Driver

#: What a plugin's module must not bring, as it is imported by every process that uses daskbridge.
HEAVY = frozenset({"dask", "distributed", "fsspec", "numpy", "pandas", "pyarrow", "tornado", "yaml"})


def play(driver: Driver) -> None:
    """Import the plugin's module, look at what it offers, and validate a topology."""
    from daskbridge.plugins import plugins

    name = driver.order["provisioner"]
    seconds, heavy = driver.observe("found", lambda: _found(name)) or (0.0, [])
    if "found" not in driver.told:
        return
    provisioner = plugins().provisioner(name)
    driver.report("name", provisioner.name)
    driver.observe("words", lambda: _words(provisioner))
    driver.observe("validated", lambda: _validated(driver, provisioner))
    driver.report("heavy", heavy)
    driver.report("seconds", [seconds, _seconds_for_distributed()])


def _found(name: str) -> tuple[float, list[str]]:
    """Return how long it takes to load the plugin, in CPU seconds, and what heavy modules it brings."""
    from daskbridge.plugins import plugins

    listed = plugins()
    before = set(sys.modules)
    began = time.process_time()
    listed.provisioner(name)
    seconds = time.process_time() - began
    brought = {module.partition(".")[0] for module in set(sys.modules) - before}
    return seconds, sorted(brought & HEAVY)


def _words(provisioner: Any) -> list[str]:  # noqa: ANN401 -- it may be no provisioner
    """Return the capabilities that no topology asks, of all that the provisioner names."""
    from daskbridge.serialization import CAPABILITIES

    advice = getattr(provisioner, "advice", {})
    return sorted({*provisioner.capabilities, *provisioner.adapts, *advice} - {*CAPABILITIES})


def _validated(driver: Driver, provisioner: Any) -> list[str]:  # noqa: ANN401 -- as above
    """Validate the suite's topology; return what that has begun: processes, threads, connections, itself."""
    from daskbridge.topology import Dask

    before = _there()
    awaited = inspect.isawaitable(provisioner.validate(driver.topology(Dask())))
    return sorted(_there() - before) + ["a coroutine, which nobody awaits"] * awaited


def _there() -> set[str]:
    process = psutil.Process()
    children = {f"process {child.pid}" for child in process.children(recursive=True)}
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    return children | threads | {f"connection {each.laddr}" for each in process.net_connections("inet")}


def _seconds_for_distributed() -> float:
    began = time.process_time()
    import distributed  # noqa: F401 -- what a plugin's module is compared with

    return time.process_time() - began
