"""Describe a transient Dask cluster once; any orchestrator's task gets it, with your code on every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.cluster import ClusterClass, ClusterRef, Existing
    from daskbridge.code import CodeSpec
    from daskbridge.runtime import Cluster, on_dask, transient
    from daskbridge.serialization import load
    from daskbridge.topology import Dask, Resources, Scheduler, WorkerGroup

__all__ = [
    "Cluster",
    "ClusterClass",
    "ClusterRef",
    "CodeSpec",
    "Dask",
    "Existing",
    "Resources",
    "Scheduler",
    "WorkerGroup",
    "load",
    "on_dask",
    "transient",
]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(["Dask", "Resources", "Scheduler", "WorkerGroup"], "daskbridge.topology")
    | dict.fromkeys(["ClusterClass", "ClusterRef", "Existing"], "daskbridge.cluster")
    | dict.fromkeys(["Cluster", "on_dask", "transient"], "daskbridge.runtime")
    | {"CodeSpec": "daskbridge.code", "load": "daskbridge.serialization"},
)
