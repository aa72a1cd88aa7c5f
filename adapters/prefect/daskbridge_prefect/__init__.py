"""Dask clusters for Prefect tasks: ``@on_dask(topology)`` above or below ``@task``.

The classes are daskbridge's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.plugins import lazy

if TYPE_CHECKING:
    from daskbridge import Dask, Resources, Scheduler, WorkerGroup
    from daskbridge_prefect._task import dask_task, on_dask

__all__ = ["Dask", "Resources", "Scheduler", "WorkerGroup", "dask_task", "on_dask"]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(["Dask", "Resources", "Scheduler", "WorkerGroup"], "daskbridge")
    | dict.fromkeys(["dask_task", "on_dask"], "daskbridge_prefect._task"),
)
