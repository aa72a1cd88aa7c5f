"""What daskbridge must know of the activity that it is in, and what that hears of its cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity
from temporalio.exceptions import CancelledError

from daskbridge.errors import RunCancelled
from daskbridge.plugins import Run, Step
from daskbridge_temporal._heartbeat import DETAILS

detect, cancelled = activity.in_activity, activity.is_cancelled


def identity() -> str:
    """Return what Temporal shows of the attempt."""
    info = activity.info()
    return f"{info.activity_type} {info.activity_id}, attempt {info.attempt}"


@contextmanager
def around() -> Iterator[None]:
    """End a cancelled activity as Temporal knows it, and not before its cluster is gone."""
    DETAILS.set([*activity.info().heartbeat_details])
    with activity.shield_thread_cancel_exception():  # it could come anywhere, while the cluster closes, too
        try:
            yield
        except RunCancelled as error:
            raise CancelledError(str(error)) from error


def on_ready(run: Run) -> None:
    """Log where the dashboard is."""
    activity.logger.info("Dask cluster of %s is ready; %s", run.name, run.dashboard)


def on_step(step: Step, run: Run) -> None:
    """Send a heartbeat: it says that the activity lives, and brings the news that it was cancelled."""
    run.in_task(activity.heartbeat, *DETAILS.get(activity.info().heartbeat_details))
