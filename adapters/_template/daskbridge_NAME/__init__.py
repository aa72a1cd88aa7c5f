"""Dask clusters for the tasks of NAME: ``@on_dask(topology)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.plugins import lazy

if TYPE_CHECKING:
    from daskbridge import Dask, Resources, Scheduler, WorkerGroup
    from daskbridge_NAME._task import on_dask

__all__ = ["Dask", "Resources", "Scheduler", "WorkerGroup", "on_dask"]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(["Dask", "Resources", "Scheduler", "WorkerGroup"], "daskbridge")
    | {"on_dask": "daskbridge_NAME._task"},
)
