"""Prefect tasks whose body has a Dask cluster: ``on_dask`` and ``dask_task``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskbridge import Dask


def on_dask(topology: Dask) -> Any:  # noqa: ANN401 -- a task or a function
    """Decorate a task, or the function that becomes one, so that each attempt has a cluster."""
    raise NotImplementedError(topology)


def dask_task(*, cluster: Dask) -> Any:  # noqa: ANN401 -- a task
    """Make a task whose attempts each have a cluster."""
    raise NotImplementedError(cluster)
