"""The core's own event loop: one thread, there while a run needs it and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from tornado.ioloop import IOLoop

T = TypeVar("T")


class LoopThread:
    """Run the core's coroutines in one daemon thread, counted by who uses it.

    The runs of a process share one thread: :meth:`acquire` starts it, the last :meth:`release`
    ends it and waits until it has ended. A child made by ``fork`` starts afresh.
    """

    _lock = threading.Lock()
    _current: LoopThread | None = None
    _users = 0

    def __init__(self) -> None:
        self.ioloop: IOLoop
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="daskbridge", daemon=True)
        self._thread.start()
        started.wait()

    @classmethod
    def acquire(cls) -> LoopThread:
        """Return the process's loop thread, started if need be."""
        with cls._lock:
            if cls._current is None:
                cls._current = cls()
            cls._users += 1
            return cls._current

    @classmethod
    def release(cls) -> None:
        """Give up one use; the last one ends the thread."""
        with cls._lock:
            cls._users -= 1
            if cls._users > 0 or cls._current is None:
                return
            ending, cls._current = cls._current, None
        ending.stop()

    @classmethod
    def forget(cls) -> None:
        """Start afresh in a forked child: the thread is not there, and the lock may be held for ever."""
        cls._lock, cls._current, cls._users = threading.Lock(), None, 0

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """End the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            from tornado.ioloop import IOLoop

            self._loop, self.ioloop, self._end = asyncio.get_running_loop(), IOLoop.current(), asyncio.Event()
            started.set()
            await self._end.wait()

        asyncio.run(main())


os.register_at_fork(after_in_child=LoopThread.forget)
