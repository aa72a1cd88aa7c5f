"""Tell whether a loop goes on, by comparing it with a thread that suffers from the machine's load as well."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

#: Seconds between two ticks of a loop, and of a thread.
TICK = 0.01


class Ticks:
    """Count how often the running loop comes round, and how often a thread does, in a ``with`` block."""

    def __enter__(self) -> Self:
        self.of_loop = self.of_thread = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="ticks")
        self._task = asyncio.ensure_future(self._tick_on_loop())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._task.cancel()

    def _tick(self) -> None:
        while not self._end.wait(TICK):
            self.of_thread += 1

    async def _tick_on_loop(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.of_loop += 1
