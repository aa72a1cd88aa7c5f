"""Temporal activities whose body has a Dask cluster: ``on_dask``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Unpack

from temporalio import activity
from temporalio.exceptions import CancelledError

import daskbridge
from daskbridge.errors import RunCancelled
from daskbridge.runtime import DaskOptions
from daskbridge.serialization import TopologyLike
from daskbridge_temporal._run import BEAT, DETAILS

Function = Callable[..., Any]


def on_dask(topology: TopologyLike, **options: Unpack[DaskOptions]) -> Callable[[Function], Function]:
    """Decorate an activity so that each attempt at it has a Dask cluster, gone when the attempt ends.

    Goes below ``@activity.defn``, on synchronous and ``async`` activities. ``topology`` and ``options`` are
    those of :func:`daskbridge.on_dask`. The activity beats by itself, in its body too. A cancelled one ends
    what its body waits for; Temporal's exception comes when the cluster is gone.
    """

    def decorate(function: Function) -> Function:
        inner = daskbridge.on_dask(topology, **options)(function)

        async def ainner(*arguments: Any) -> Any:
            loop = asyncio.get_running_loop()
            BEAT.set(lambda *given: loop.call_soon_threadsafe(activity.heartbeat, *given))
            with _attempt():
                return await inner(*arguments)

        return wraps(inner)(ainner) if inspect.iscoroutinefunction(inner) else _attempt()(inner)

    return decorate


def heartbeat(*details: Any) -> None:
    """Do what ``activity.heartbeat`` does, with details that the heartbeats of the cluster repeat."""
    DETAILS.get()[:] = details
    activity.heartbeat(*details)


@contextmanager
def _attempt() -> Iterator[None]:
    DETAILS.set([*activity.info().heartbeat_details])
    # Temporal's exception could come anywhere, while the cluster closes too: wait for the end with it
    with activity.shield_thread_cancel_exception():
        try:
            yield
        except RunCancelled as error:
            raise CancelledError(str(error)) from error
