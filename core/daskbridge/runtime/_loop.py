"""The core's own event loop: one thread, there while a run needs it and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from tornado.ioloop import IOLoop

T = TypeVar("T")

#: Seconds between two looks at a thread that ends.
LOOK = 0.005


class _Unawaited(ThreadPoolExecutor):
    """Run what the loop's default pool runs, without making the loop's end wait for it.

    distributed resolves host names there, and a name server may take as long as it likes.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Take no more work; whatever is asked, don't wait for what is under way."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)


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
        """Give up one use; the last one ends the thread and waits for it."""
        if (ending := cls._give_up()) is not None:
            ending.join()

    @classmethod
    async def arelease(cls) -> None:
        """Do the same as :meth:`release` without blocking the caller's loop."""
        if (ending := cls._give_up()) is not None:
            while ending.is_alive():
                await asyncio.sleep(LOOK)

    @classmethod
    def drop(cls) -> None:
        """Do the same as :meth:`release` on the loop itself, which can't wait for its own end."""
        cls._give_up()

    @classmethod
    def forget(cls) -> None:
        """Start afresh in a forked child: the thread is not there, and the lock may be held for ever."""
        cls._lock, cls._current, cls._users = threading.Lock(), None, 0

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def here(self) -> bool:
        """Tell whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def end(self) -> threading.Thread:
        """End the loop; return its thread, which then ends, too."""
        self._loop.call_soon_threadsafe(self._end.set)
        return self._thread

    @classmethod
    def _give_up(cls) -> threading.Thread | None:
        """Return the thread that ends now, if this was its last use."""
        with cls._lock:
            cls._users -= 1
            if cls._users > 0 or cls._current is None:
                return None
            ending, cls._current = cls._current, None
        return ending.end()

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            from tornado.ioloop import IOLoop

            self._loop, self.ioloop, self._end = asyncio.get_running_loop(), IOLoop.current(), asyncio.Event()
            self._loop.set_default_executor(_Unawaited())
            started.set()
            await self._end.wait()

        asyncio.run(main())


os.register_at_fork(after_in_child=LoopThread.forget)
