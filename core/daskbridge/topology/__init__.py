"""Describe a cluster: which nodes, how many, and what each of them has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.topology._dask import Dask
    from daskbridge.topology._nodes import Scheduler, WorkerGroup
    from daskbridge.topology._quantity import parse_quantity
    from daskbridge.topology._resources import Resources

__all__ = ["Dask", "Resources", "Scheduler", "WorkerGroup", "parse_quantity"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Dask": "daskbridge.topology._dask",
        "Resources": "daskbridge.topology._resources",
        "Scheduler": "daskbridge.topology._nodes",
        "WorkerGroup": "daskbridge.topology._nodes",
        "parse_quantity": "daskbridge.topology._quantity",
    },
)
