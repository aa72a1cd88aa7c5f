"""The steps of a run: told while they happen, kept with their durations."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from daskbridge.plugins import Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Progress:
    """Let a step say what it waits for, or in the end what came of it."""

    def __init__(self) -> None:
        self.detail = ""

    def say(self, words: str) -> None:
        """Set what is waited for."""
        self.detail = words


class Timeline:
    """Time the steps of one run and tell of each, at least every ``interval`` seconds while it lasts.

    ``tell(step, state, elapsed, detail)`` is called on the core's loop thread.
    """

    def __init__(self, tell: Callable[[str, str, float, str], None], interval: float) -> None:
        self._tell = tell
        self._interval = interval
        self._steps: list[Step] = []
        #: What is under way, for messages about a time-out.
        self.current = ("", Progress())

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that have ended, in order."""
        return tuple(self._steps)

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[Progress]:
        """Time what happens inside as the step ``name``."""
        progress = Progress()
        self.current = (name, progress)
        began = time.monotonic()
        self._tell(name, "started", 0.0, "")
        ticks = asyncio.create_task(self._tick(name, began, progress))
        state = "failed"
        try:
            yield progress
            state = "done"
        finally:
            ticks.cancel()
            elapsed = time.monotonic() - began
            self._steps.append(Step(name, state, elapsed, progress.detail))
            self._tell(name, state, elapsed, progress.detail)

    async def _tick(self, name: str, began: float, progress: Progress) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._tell(name, "waiting", time.monotonic() - began, progress.detail)
