"""At most so many clusters of one function at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from daskbridge.runtime._wait import attentively

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

logger = logging.getLogger("daskbridge")


class Turns:
    """Let ``number`` calls at a time go on, first come, first served, from any thread and event loop.

    Counts within one process: a copy that is unpickled elsewhere counts anew. Who waits does so for
    the end of other calls, and can be interrupted or cancelled. Raises ValueError for less than one.
    """

    def __init__(self, number: int, name: str) -> None:
        given: object = number
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            msg = f"max_clusters is {number!r}; expected a number of clusters, at least 1"
            raise ValueError(msg)
        self._number = self._free = number
        self._name = name
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Turns], tuple[int, str]]:
        return Turns, (self._number, self._name)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, blocking, and give it up when the block is left."""
        mine = self._ask()
        try:
            attentively(mine)
            yield
        finally:
            self._give_up(mine)

    @asynccontextmanager
    async def aturn(self) -> AsyncIterator[None]:
        """Do the same without blocking the caller's loop."""
        mine = self._ask()
        try:
            await asyncio.wrap_future(mine)
            yield
        finally:
            self._give_up(mine)

    def _ask(self) -> Future[None]:
        mine: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set_result(None)
            else:
                self._waiting.append(mine)
                told = "%s waits: max_clusters=%d, and as many run; calls before it: %d"
                logger.info(told, self._name, self._number, len(self._waiting) - 1)
        return mine

    def _give_up(self, mine: Future[None]) -> None:
        """Leave the queue, or let the next one go on."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return
            if mine.cancelled():  # and passed over
                return
            while self._waiting:
                following = self._waiting.popleft()
                if following.set_running_or_notify_cancel():
                    following.set_result(None)
                    return
            self._free += 1
