"""NAME's tasks whose body has a Dask cluster: ``on_dask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, Unpack

import daskbridge

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.runtime import DaskOptions
    from daskbridge.serialization import TopologyLike

P = ParamSpec("P")
R = TypeVar("R")


def on_dask(
    topology: TopologyLike | Callable[..., TopologyLike], **options: Unpack[DaskOptions]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate the function of a task so that each of its attempts has a Dask cluster.

    ``topology`` and ``options`` are those of :func:`daskbridge.on_dask`. Here is the place for
    NAME's own decorator; what goes around each call, such as its own errors, is ``around()`` in ``_run``.
    """
    return daskbridge.on_dask(topology, **options)
