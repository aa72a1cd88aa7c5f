"""What a block must leave in a process as it found it."""

from __future__ import annotations

import copy
import gc
import signal
import threading
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import psutil

from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Iterable


def state(others: Iterable[str] = ()) -> dict[str, Any]:
    """Return what there is of a process's configuration, threads, clients, handlers and ports.

    Threads whose names match one of the patterns ``others`` are somebody else's.
    """
    import cloudpickle
    import dask.config
    from distributed import Client

    gc.collect()
    config = copy.deepcopy(dask.config.config)
    config.get("distributed", {}).get("scheduler", {}).get("http", {}).pop(
        "routes", None
    )  # code appends to it
    return {
        "dask.config": repr(config),
        "modules pickled by value": sorted(cloudpickle.list_registry_pickle_by_value()),
        "threads": sorted(
            thread.name
            for thread in threading.enumerate()
            if not any(fnmatch(thread.name, other) for other in others)
        ),
        "clients": sorted(repr(client) for client in Client._instances if client.status != "closed"),  # noqa: SLF001 -- its only list
        "signal handlers": {
            each.name: str(signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT)
        },
        "listening ports": sorted(
            each.laddr.port
            for each in psutil.Process().net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        ),
    }


def changes(before: dict[str, Any], within: float, others: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Return what differs from before, as pairs, once that no longer changes for the better.

    A call that was given up goes on in its thread for a moment: nothing is waited for longer than ``within``.
    """

    def differing() -> dict[str, list[Any]]:
        now = state(others)
        return {name: [before[name], now[name]] for name in now if before[name] != now[name]}

    try:
        return until(differing, within, "an unchanged process", wanted=lambda found: not found)
    except TimeoutError:
        return differing()
