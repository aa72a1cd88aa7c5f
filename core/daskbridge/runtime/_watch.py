"""Watch a cluster while the user's body runs: a scheduler that is lost, a cancel that is asked for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from daskbridge.errors import ClusterLost, DaskbridgeError, RunCancelled
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.runtime._connection import Connection
    from daskbridge.runtime._options import Event

#: Seconds between two looks at the cancel event, and between two questions to the scheduler.
LOOK, ASK = 0.2, 2.0


class Watch:
    """Call ``interrupt()`` once, on the core's loop, as soon as the body should not go on.

    ``verdict`` is then the error in which the body ends. A scheduler that a platform replaced at
    the same address answers, but does not know this run: the client would reconnect by itself and
    new workers would run tasks without the code.
    """

    def __init__(self, connection: Connection, cancel: Event | None, interrupt: Callable[[], None]) -> None:
        self.verdict: DaskbridgeError | None = None
        self._connection = connection
        self._cancel = cancel
        self._interrupt = interrupt
        self._tasks = [asyncio.create_task(self._until_lost()), asyncio.create_task(self._until_cancelled())]

    async def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _until_cancelled(self) -> None:
        while self._cancel is not None:
            await asyncio.sleep(LOOK)
            if self._cancel.is_set():
                self._decide(RunCancelled("cancelled while the body ran"))
                return

    async def _until_lost(self) -> None:
        answered = time.monotonic()
        address = self._connection.handle.ref.scheduler_address
        while True:
            await asyncio.sleep(ASK)
            if failure := await self._connection.handle.failure():
                self._decide(ClusterLost(f"the cluster at {address} is lost: {failure}"))
                return
            try:
                same = await asyncio.wait_for(self._connection.alive(), ASK)
                answered = time.monotonic()
            except (OSError, TimeoutError):
                silent = time.monotonic() - answered
                if silent > setting("lost-timeout"):
                    self._decide(ClusterLost(f"the scheduler at {address} has not answered for {silent:.0f} s"))
                    return
                continue
            if not same:
                msg = f"the scheduler at {address} was replaced: the new one has neither this run's code nor its data"
                self._decide(ClusterLost(msg))
                return

    def _decide(self, verdict: DaskbridgeError) -> None:
        if self.verdict is None:
            self.verdict = verdict
            self._interrupt()
