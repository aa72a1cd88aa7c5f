"""What holds a shared cluster while nobody is in: the flow run that it belongs to."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING

from daskbridge.errors import DaskbridgeError
from daskbridge.runtime._loop import LoopThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Seconds between two looks at a flow run.
LOOK = 0.1
#: Seconds that an ending interpreter leaves to the end of a cluster.
LAST_CHANCE = 30.0

logger = logging.getLogger("daskbridge")


class Hold:
    """Wait for the end of a flow run, of the interpreter or of the cluster itself; on the core's loop.

    ``goes_on()`` tells of the flow run, ``wanted()`` of the cluster. In the end ``release()`` is awaited. An
    ending interpreter waits for that.
    """

    def __init__(self, goes_on: Callable[[], bool]) -> None:
        self._goes_on = goes_on
        self._pid = os.getpid()
        self._over = threading.Event()
        self._released = threading.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lasts(self) -> bool:
        """Tell whether the flow run may bring more; not where its orchestrator can't tell any more."""
        try:
            return not self._over.is_set() and bool(self._goes_on())
        except Exception:
            logger.warning("flow_open failed: the flow run's cluster ends with its last block", exc_info=True)
            self._over.set()
            return False

    def begin(self, wanted: Callable[[], bool], release: Callable[[], Awaitable[None]]) -> None:
        """Wait in the background, once."""
        if self._task is None:
            LoopThread.acquire()
            # last registered, first called: whatever the cluster needs is still there
            atexit.register(self._let_go)
            self._task = asyncio.ensure_future(self._wait(wanted, release))

    async def _wait(self, wanted: Callable[[], bool], release: Callable[[], Awaitable[None]]) -> None:
        try:
            while self.lasts and wanted():
                await asyncio.sleep(LOOK)
            await release()
        except DaskbridgeError:
            logger.warning("the cluster of a flow run did not end in order", exc_info=True)
        finally:
            atexit.unregister(self._let_go)
            self._released.set()
            LoopThread.drop()

    def _let_go(self) -> None:
        """End it with the interpreter, and wait for that; a forked child has nothing to end."""
        if os.getpid() == self._pid:
            self._over.set()
            self._released.wait(LAST_CHANCE)
