"""A toy in place of NAME, so that the template works as it is; it goes once NAME is here."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Task:
    """Be what a person sees of one attempt at a task."""

    name: str
    shown: list[str] = field(default_factory=list)
    heartbeats: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    told_to_end: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.log = logging.getLogger(f"toy_NAME.{self.name}")
        self.log.setLevel(logging.INFO)
        self.log.addHandler(Lines(self.lines))


class Lines(logging.Handler):
    """Keep what is logged."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append(record.getMessage())


#: The attempts of this process, the newest last.
tasks: list[Task] = []
_current: ContextVar[Task | None] = ContextVar("toy_NAME", default=None)


def current() -> Task | None:
    """Return the task that the caller is in, or None."""
    return _current.get()


def run(function: Callable[[], Any], *, retries: int = 0) -> Any:  # noqa: ANN401 -- the function's own
    """Run a function as a task, again where it fails and may be tried again; return its result."""
    tasks.append(Task(f"{function.__name__}-{len(tasks) + 1}"))
    try:
        return copy_context().run(_call, tasks[-1], function)
    except Exception:
        if not retries:
            raise
    return run(function, retries=retries - 1)


def cancel() -> None:
    """Tell the newest task to end."""
    tasks[-1].told_to_end.set()


def _call(task: Task, function: Callable[[], Any]) -> Any:  # noqa: ANN401 -- the function's own
    _current.set(task)
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result
