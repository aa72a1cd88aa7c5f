"""Watch a cluster while the user's body runs: a scheduler that is lost, a cancel that is asked for."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from typing import TYPE_CHECKING

from daskbridge.errors import ClusterLost, DaskbridgeError, RunCancelled
from daskbridge.runtime._explain import chain
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.runtime._connection import Connection
    from daskbridge.runtime._options import Event

#: Seconds between two looks at the cancel event, and between two questions to the scheduler.
LOOK, ASK = 0.2, 2.0


#: What a body gets to see when the connection to its scheduler is gone.
CONNECTION = (OSError, asyncio.CancelledError, concurrent.futures.CancelledError)


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

    async def stop(self, error: BaseException | None) -> None:
        """Stop watching; a body that ended by a lost connection may have noticed before us."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        if (
            self.verdict is None
            and error is not None
            and any(isinstance(link, CONNECTION) for link in chain(error))
        ):
            lost = await self._look()
            self.verdict = None if lost is None else ClusterLost(lost[0])

    async def _until_cancelled(self) -> None:
        while self._cancel is not None:
            await asyncio.sleep(LOOK)
            if self._cancel.is_set():
                self._decide(RunCancelled("cancelled while the body ran"))
                return

    async def _until_lost(self) -> None:
        answered = time.monotonic()
        while True:
            await asyncio.sleep(ASK)
            lost = await self._look()
            if lost is None:
                answered = time.monotonic()
            elif lost[1] or time.monotonic() - answered > setting("lost-timeout"):
                self._decide(ClusterLost(lost[0]))
                return

    async def _look(self) -> tuple[str, bool] | None:
        """Ask provisioner and scheduler: what is lost, and whether for good; None if all is well."""
        where = f"the cluster at {self._connection.handle.ref.scheduler_address}"
        if failure := await self._connection.handle.failure():
            return f"{where} is lost: {failure}", True
        try:
            same = await asyncio.wait_for(self._connection.alive(), ASK)
        except (OSError, TimeoutError) as error:
            return f"{where} is lost: its scheduler does not answer ({error!r})", False
        if same:
            return None
        return (
            f"{where} is lost: its scheduler was replaced by one without this run's code and data",
            True,
        )

    def _decide(self, verdict: DaskbridgeError) -> None:
        if self.verdict is None:
            self.verdict = verdict
            self._interrupt()
