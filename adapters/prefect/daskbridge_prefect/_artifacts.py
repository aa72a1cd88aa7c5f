"""What a task run shows of its cluster: a link, a summary and progress, as artifacts of the attempt."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass
class Shown:
    """Hold the progress artifact of one run, made once there is something to show."""

    artifact: UUID | None = None
    percent: float | None = None


_shown: dict[str, Shown] = {}


def publish_link(run: Run) -> None:
    """Link to the dashboard while it is there."""
    link = run.ref and run.ref.dashboard_link
    if link:
        _publish(create_link_artifact, run, "dashboard", link=link, link_text="Dask dashboard")


def show_progress(run: Run) -> None:
    """Show how many tasks are done, once there are some."""
    if run.progress is not None and run.progress[1]:
        _update(run, _shown.setdefault(run.id, Shown()))


def summarize(run: Run) -> None:
    """Say in one table what the run's steps took and what came of them, and end its progress."""
    shown = _shown.pop(run.id, None)
    if shown is not None:
        _update(run, shown)
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


def _update(run: Run, shown: Shown) -> None:
    assert run.progress is not None
    done, known = run.progress
    percent = 100.0 * done / known if known else 100.0
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
