"""A workflow orchestrator in one process: it names, logs, retries and cancels what it runs."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import threading
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field


class TaskFailed(Exception):
    """Report a task whose last attempt failed; its cause is the task's own error."""


@dataclass
class Attempt:
    """What a person sees of one attempt of a task."""

    name: str
    number: int
    lines: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    heartbeats: list[str] = field(default_factory=list)
    told_to_end: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.log = logging.Logger(self.name)  # noqa: LOG001 -- one by name would stay for ever
        self.log.addHandler(Lines(self.lines))


class Lines(logging.Handler):
    """Keep what is logged."""

    def __init__(self, lines):
        super().__init__()
        self._lines = lines

    def emit(self, record):
        self._lines.append(record.getMessage())


#: All that has run in this process, the newest last.
attempts: list[Attempt] = []

_current: ContextVar[Attempt | None] = ContextVar("toyflow", default=None)
_numbers = itertools.count(1)


def current():
    """Return the attempt that the caller runs in, or None."""
    return _current.get()


def run(function, *, retries=0):
    """Run a function as a task; return its result. Raises TaskFailed from the error of its last attempt."""
    name = f"{function.__name__}-{next(_numbers)}"
    for number in range(1, retries + 2):
        attempt = Attempt(name, number)
        attempts.append(attempt)
        try:
            return copy_context().run(_call, attempt, function)
        except Exception as error:
            if number > retries or attempt.told_to_end.is_set():
                raise TaskFailed(f"attempt {number} of {name} failed: {error}") from error
    return None


def cancel():
    """Tell what runs to end; a task has to look whether it was told so."""
    attempts[-1].told_to_end.set()


def _call(attempt, function):
    _current.set(attempt)
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result
