"""Watch a cluster while the user's body runs: a scheduler that is lost, a cancel, a lifetime."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from daskbridge.errors import ClusterLost, DaskbridgeError, RunCancelled
from daskbridge.runtime._explain import chain
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.runtime._connection import Connection

#: Seconds between two looks at what this process knows, and between two questions to cluster and scheduler.
LOOK, ASK = 0.2, 2.0
#: Seconds that a scheduler may be busy, as with a large graph, before it counts as lost.
BUSY = 600.0
#: Seconds for a provisioner to learn what a body has noticed.
NEWS = 1.0


class Watch:
    """Call ``interrupt()`` once, on the core's loop, as soon as the body should not go on.

    ``verdict`` is then the error in which the body ends. A scheduler that a platform replaced at
    the same address answers, but does not know this run: the client would reconnect by itself and
    new workers would run tasks without the code.
    """

    def __init__(
        self, connection: Connection, cancelled: Callable[[], bool], interrupt: Callable[[], None]
    ) -> None:
        self.verdict: DaskbridgeError | None = None
        self._connection = connection
        self._cancelled = cancelled
        self._interrupt = interrupt
        self._where = f"the cluster at {connection.handle.ref.scheduler_address}"
        self._stopped = False
        watches = (self._until_failed(), self._until_lost(), self._until_cancelled(), self._until_over())
        self._tasks = [asyncio.create_task(watch) for watch in watches]

    def ignore(self) -> None:
        """Take what happens from now on as meant: somebody asked for the end. Any thread may call."""
        self._stopped = True

    async def stop(self, error: BaseException | None) -> None:
        """Stop watching, and look once more: a body may notice first that its cluster is lost.

        One that did not notice may have results that were computed without this run's code.
        """
        going_on = set(self._tasks)
        while going_on:  # wait_for() may swallow a cancel that comes together with its answer
            for task in going_on:
                task.cancel()
            going_on = (await asyncio.wait(going_on, timeout=LOOK))[1]
        if self.verdict is None and not self._stopped and not self._connection.ended:
            self.verdict = await self._lost(by_connection=error is not None and _by_connection(error))

    async def _until_cancelled(self) -> None:
        while not self._cancelled():
            await asyncio.sleep(LOOK)
        self._decide(RunCancelled("cancelled while the body ran"))

    async def _until_over(self) -> None:
        while (over := self._connection.lifetime.over()) is None:
            await asyncio.sleep(LOOK)
        self._decide(over)

    async def _until_failed(self) -> None:
        while (failure := await self._connection.failure()) is None:
            await asyncio.sleep(ASK)
        self._decide(ClusterLost(f"{self._where} is lost: {failure}"))

    async def _until_lost(self) -> None:
        answered = time.monotonic()
        while True:
            await self._until_time_to_ask()
            connected = self._connection.running
            try:
                same = await self._same(BUSY if connected else ASK)
            except OSError as error:
                if connected and isinstance(error, TimeoutError):
                    silent = f"its scheduler was silent for {BUSY:.0f} s"
                    self._decide(ClusterLost(f"{self._where} is lost: {silent}"))
                    return
                if time.monotonic() - answered > setting("lost-timeout"):
                    self._decide(self._unreachable(error))
                    return
                continue
            answered = time.monotonic()
            if not same:
                self._decide(self._replaced())
                return

    async def _until_time_to_ask(self) -> None:
        """Wait for the next question, which comes at once when the connection was lost."""
        begin = time.monotonic()
        while time.monotonic() - begin < ASK:
            await asyncio.sleep(LOOK)
            if not self._connection.running:
                return

    async def _lost(self, *, by_connection: bool) -> ClusterLost | None:
        """Look once more: None if the scheduler is well, or gone without the body having noticed.

        A scheduler that was started anew takes a while to answer, so a connection that is down is waited for.
        """
        deadline = time.monotonic() + setting("lost-timeout")
        while True:
            if failure := await self._connection.failure():
                return ClusterLost(f"{self._where} is lost: {failure}") if by_connection else None
            try:
                return None if await self._same(ASK) else self._replaced()
            except OSError as error:  # TimeoutError, too: Dask goes on trying to connect
                if by_connection:
                    return await self._told_late() or self._unreachable(error)
                if self._connection.running or time.monotonic() > deadline:
                    return None

    async def _told_late(self) -> ClusterLost | None:
        """Let whoever supervises the scheduler say why it is gone: a broken connection is noticed first."""
        deadline = time.monotonic() + NEWS
        while (failure := await self._connection.failure()) is None:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(NEWS / 20)
        return ClusterLost(f"{self._where} is lost: {failure}")

    async def _same(self, limit: float) -> bool:
        """Tell whether this is the scheduler of the run. Raises OSError if none answers in time."""
        if self._connection.replaced:
            return False
        return await asyncio.wait_for(self._connection.alive(), limit)

    def _unreachable(self, error: OSError) -> ClusterLost:
        return ClusterLost(f"{self._where} is lost: its scheduler can't be reached ({error!r})")

    def _replaced(self) -> ClusterLost:
        what = "its scheduler was replaced by one without this run's code and data"
        return ClusterLost(f"{self._where} is lost: {what}")

    def _decide(self, verdict: DaskbridgeError) -> None:
        if self.verdict is None and not self._stopped and not self._connection.ended:
            # a driver that was suspended may learn of the end before it sees that it is due
            self.verdict = self._connection.lifetime.over() or verdict
            self._interrupt()


def _by_connection(error: BaseException) -> bool:
    """Tell whether an error is distributed's own for a connection that is gone."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    return any(
        isinstance(link, CommClosedError)
        or (isinstance(link, FutureCancelledError) and link.reason == "scheduler-connection-lost")
        for link in chain(error)
    )
