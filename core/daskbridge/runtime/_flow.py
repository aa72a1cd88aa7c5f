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

_over = threading.Event()
_holds: set[Hold] = set()


class Hold:
    """Wait for the end of a flow run, of the interpreter or of the cluster itself; on the core's loop.

    ``goes_on()`` tells of the flow run, ``wanted()`` of the cluster. In the end ``release()`` is awaited. An
    ending interpreter waits for that.
    """

    def __init__(self, goes_on: Callable[[], bool]) -> None:
        self._goes_on = goes_on
        self._released = threading.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lasts(self) -> bool:
        """Tell whether the flow run may bring more."""
        return not _over.is_set() and self._goes_on()

    def begin(self, wanted: Callable[[], bool], release: Callable[[], Awaitable[None]]) -> None:
        """Wait in the background, once."""
        if self._task is None:
            LoopThread.acquire()
            _holds.add(self)
            self._task = asyncio.ensure_future(self._wait(wanted, release))

    async def _wait(self, wanted: Callable[[], bool], release: Callable[[], Awaitable[None]]) -> None:
        try:
            while self.lasts and wanted():
                await asyncio.sleep(LOOK)
            await release()
        except DaskbridgeError:
            logger.warning("the cluster of a flow run did not end in order", exc_info=True)
        finally:
            _holds.discard(self)
            self._released.set()
            LoopThread.drop()

    def join(self) -> None:
        """Wait for the release, from another thread."""
        self._released.wait(LAST_CHANCE)


@atexit.register
def _let_go() -> None:
    _over.set()
    for hold in list(_holds):
        hold.join()


os.register_at_fork(after_in_child=_holds.clear)
