"""Tell for how long a loop stands still, by a thread that suffers from the machine's load as well."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

#: Seconds between two ticks of a loop, and of a thread.
TICK = 0.01


class Ticks:
    """Count, in a ``with`` block, how often a thread comes round while the running loop does not once."""

    def __enter__(self) -> Self:
        #: The most ticks of the thread between two of the loop.
        self.longest = 0
        self._since = 0
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
            self._since += 1
            self.longest = max(self.longest, self._since)

    async def _tick_on_loop(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._since = 0
