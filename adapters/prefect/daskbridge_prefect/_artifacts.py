"""What a task run shows of its cluster: a link, a summary and progress, as artifacts of the attempt."""

from __future__ import annotations

import logging
import threading
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.context import TaskRunContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from daskbridge.plugins import Run

logger = logging.getLogger("daskbridge")

#: Seconds for an update of progress that is under way when the cluster closes.
PATIENCE = 2.0


@dataclass
class Shown:
    """Hold the progress artifact of one run, made once there is something to show."""

    artifact: UUID | None = None
    percent: float | None = None
    update: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_shown: dict[str, Shown] = {}


def publish_link(run: Run) -> None:
    """Link to the dashboard while it is there."""
    link = run.ref and run.ref.dashboard_link
    if link:
        _publish(create_link_artifact, run, "dashboard", link=link, link_text="Dask dashboard")


def show_progress(run: Run) -> None:
    """Bring the progress up to date in a thread of its own; called on the core's loop."""
    if run.progress is None or not run.progress[1]:
        return
    shown = _shown.setdefault(run.id, Shown())
    if shown.update is None or not shown.update.is_alive():
        shown.update = threading.Thread(
            target=copy_context().run, args=(_try_update, run, shown), name="daskbridge-progress", daemon=True
        )
        shown.update.start()


def summarize(run: Run) -> None:
    """Say in one table what the run's steps took and what came of them, and end its progress."""
    shown = _shown.pop(run.id, None)
    if shown is not None and shown.update is not None:
        shown.update.join(PATIENCE)
        _try_update(run, shown)
    rows = [
        f"| {step.name} | {step.seconds:.2f} s | {step.state} | {_cell(step.detail)} |" for step in run.steps
    ]
    table = "\n".join(["| step | took | ended | |", "|---|---|---|---|", *rows])
    error = ""
    if run.error is not None:
        notes = getattr(run.error, "__notes__", ())
        lines = "\n".join([f"{type(run.error).__name__}: {run.error}", *notes])
        error = f"\n\nIt ended in an error:\n\n```text\n{lines}\n```"
    text = f"Dask cluster by `{run.provisioner}`\n\n{table}{error}"
    _publish(create_markdown_artifact, run, "summary", markdown=text)


def _try_update(run: Run, shown: Shown) -> None:
    """Bring the progress up to date; that it can't be shown is no failure of anything."""
    try:
        _update(run, shown)
    except Exception as error:  # noqa: BLE001 -- as said
        logger.info("the progress of %s could not be shown: %r", run.name, error)


def _update(run: Run, shown: Shown) -> None:
    assert run.progress is not None
    done, known = run.progress
    percent = 100.0 * done / known if known else 100.0
    with shown.lock:
        if percent == shown.percent:
            return
        if shown.artifact is None:
            shown.artifact = _publish(create_progress_artifact, run, "progress", progress=percent)
        else:
            update: Any = update_progress_artifact
            update(shown.artifact, percent, description=_of(run), _sync=True)
        shown.percent = percent


def _publish(create: Callable[..., Any], run: Run, name: str, **content: object) -> Any:  # noqa: ANN401 -- its id
    """Create an artifact of this attempt; blocks, in ``async`` tasks, too: this is a thread of the core's.

    Each attempt has its own keys: under one key a retry's artifact would hide those before.
    """
    attempt = _attempt()
    key = f"dask-{name}" if attempt == 1 else f"dask-{name}-{attempt}"
    return create(**content, key=key, description=_of(run), _sync=True)


def _of(run: Run) -> str:
    tasks = "" if run.progress is None else f": {run.progress[0]} of {run.progress[1]} Dask tasks are done"
    return f"{run.name}, attempt {_attempt()}{tasks}"


def _attempt() -> int:
    context = TaskRunContext.get()
    return max(context.task_run.run_count, 1) if context else 1


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
