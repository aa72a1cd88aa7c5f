"""What daskbridge must know of the activity that it is in, and what that hears of its cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from temporalio import activity

from daskbridge.plugins import Run, Step

#: How a thread of the core's sends a heartbeat, and with which details: Temporal keeps the newest.
BEAT: ContextVar[Callable[..., object]] = ContextVar("beat", default=activity.heartbeat)
DETAILS: ContextVar[list[Any]] = ContextVar("details")

detect, cancelled = activity.in_activity, activity.is_cancelled


def identity() -> str:
    """Return what Temporal shows of the attempt."""
    info = activity.info()
    return f"{info.activity_type} {info.activity_id}, attempt {info.attempt}"


def on_ready(run: Run) -> None:
    """Log where the dashboard is."""
    activity.logger.info("Dask cluster of %s is ready; %s", run.name, run.dashboard)


def on_step(step: Step, run: Run) -> None:
    """Send a heartbeat: it says that the activity lives, and brings the news that it was cancelled."""
    BEAT.get()(*DETAILS.get(activity.info().heartbeat_details))
