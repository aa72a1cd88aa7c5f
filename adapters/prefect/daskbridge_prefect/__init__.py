"""Dask clusters for Prefect tasks: ``@on_dask(topology)`` above or below ``@task``.

The classes are daskbridge's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.plugins import lazy

if TYPE_CHECKING:
    from daskbridge import Dask, Resources, Scheduler, WorkerGroup
    from daskbridge_prefect._runner import DaskTaskRunner
    from daskbridge_prefect._runner_options import dask_options
    from daskbridge_prefect._task import dask_task, on_dask

__all__ = [
    "Dask",
    "DaskTaskRunner",
    "Resources",
    "Scheduler",
    "WorkerGroup",
    "dask_options",
    "dask_task",
    "on_dask",
]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(["Dask", "Resources", "Scheduler", "WorkerGroup"], "daskbridge")
    | dict.fromkeys(["dask_task", "on_dask"], "daskbridge_prefect._task")
    | {
        "DaskTaskRunner": "daskbridge_prefect._runner",
        "dask_options": "daskbridge_prefect._runner_options",
    },
)
