"""Dask clusters for Temporal activities: ``@on_dask(topology)`` below ``@activity.defn``."""

from __future__ import annotations

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge_temporal._task import heartbeat, on_dask

__all__ = ["Dask", "Resources", "Scheduler", "WorkerGroup", "heartbeat", "on_dask"]
