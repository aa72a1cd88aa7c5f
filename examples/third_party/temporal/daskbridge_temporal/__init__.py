"""Dask clusters for Temporal activities: ``@on_dask(topology)`` below ``@activity.defn``."""

from __future__ import annotations

from daskbridge import Dask, Resources, Scheduler, WorkerGroup, on_dask
from daskbridge_temporal._heartbeat import heartbeat

__all__ = ["Dask", "Resources", "Scheduler", "WorkerGroup", "heartbeat", "on_dask"]
