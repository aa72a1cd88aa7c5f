"""Show the steps of a run on stderr: one line each, and on a terminal the step that is under way.

Without a terminal they show where an orchestrator runs the task: there stderr is the task's log.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daskbridge.plugins import hookimpl
from daskbridge.settings import setting

if TYPE_CHECKING:
    from daskbridge.plugins import Run

CLEAR = "\r\x1b[2K"


@hookimpl
def daskbridge_step(step: str, state: str, elapsed: float, detail: str, run: Run) -> None:
    """Write a line when a step ends, and while it lasts what it waits for."""
    choice = setting("display")
    terminal = sys.stderr.isatty()
    watched = choice == "on" or terminal or run.orchestrator is not None
    if choice == "off" or not watched or step == "body":
        return
    label = f"daskbridge {run.name}: {step:<9}"
    if state in {"done", "failed"}:
        mark = "" if state == "done" else "  FAILED"
        text = f"{label} {elapsed:6.2f} s  {detail}{mark}".rstrip()
        _write((CLEAR if terminal else "") + text + "\n")
    elif terminal:
        _write(f"{CLEAR}{label} {elapsed:6.0f} s  {detail}")
    elif state == "waiting":
        _write(f"{label} {elapsed:6.0f} s  waiting: {detail}".rstrip(": ") + "\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
