"""What daskbridge must know of the task that it is in, and what that shows of its cluster.

Its functions are those of :class:`daskbridge.plugins.Orchestrator`; what is not here has a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import toy_NAME

if TYPE_CHECKING:
    import logging

    from daskbridge.plugins import Run, Step


def detect() -> bool:
    """Tell whether this is a task of NAME's."""
    return toy_NAME.current() is not None


def identity() -> str:
    """Return the name that NAME shows of the task's run."""
    return _task().name


def logger(run: Run) -> logging.Logger:  # noqa: ARG001 -- the hook's signature
    """Return the log of the task, for what workers print."""
    return _task().log


def cancelled() -> bool:
    """Tell whether the task was told to end."""
    return _task().told_to_end.is_set()


def on_ready(run: Run) -> None:
    """Publish the link to the dashboard while it is there."""
    _task().shown.append(run.dashboard)


def on_step(step: Step, run: Run) -> None:  # noqa: ARG001 -- the hook's signature
    """Let NAME know that the task goes on."""
    _task().heartbeats.append(f"{step.name} {step.state}")


def _task() -> toy_NAME.Task:
    task = toy_NAME.current()
    assert task is not None
    return task
