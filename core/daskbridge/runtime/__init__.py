"""The runtime: ``transient``, the one place where the steps of a run are put in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.plugins import Step
    from daskbridge.runtime._cluster import Cluster
    from daskbridge.runtime._on_dask import DaskOptions, on_dask
    from daskbridge.runtime._scope import Scope
    from daskbridge.runtime._transient import transient

__all__ = ["Cluster", "DaskOptions", "Scope", "Step", "on_dask", "transient"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Cluster": "daskbridge.runtime._cluster",
        "DaskOptions": "daskbridge.runtime._on_dask",
        "Scope": "daskbridge.runtime._scope",
        "Step": "daskbridge.plugins",
        "on_dask": "daskbridge.runtime._on_dask",
        "transient": "daskbridge.runtime._transient",
    },
)
