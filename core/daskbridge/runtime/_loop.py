"""The core's own event loop: one thread, there while a run needs it and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tornado.ioloop import IOLoop

T = TypeVar("T")

#: Seconds between two looks at a thread that ends.
LOOK = 0.005
#: Seconds for which a fork waits for this thread, and it for the fork.
STILL = 1.0


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
    #: Threads that have ended for Python; the system may not be through with them.
    _ended: ClassVar[set[int | None]] = set()
    _go_on = threading.Event()

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
        cls._ended = set()

    @classmethod
    def be_still(cls) -> None:
        """Let this thread do nothing while a child is made, which would never get what it holds of locks.

        OpenSSL has some of which a fork knows nothing. A thread may hold one at its very end, too, when it is
        gone for Python.
        """
        current, end = cls._current, time.monotonic() + STILL
        if current is not None and not current.here():
            still, cls._go_on = threading.Event(), threading.Event()
            with suppress(RuntimeError):  # the loop has just ended
                current.call(_wait, still, cls._go_on)
                still.wait(STILL)
        while any(map(_there, cls._ended)) and time.monotonic() < end:
            time.sleep(0.001)
        cls._ended.clear()

    @classmethod
    def go_on(cls) -> None:
        """Let it go on in the parent."""
        cls._go_on.set()

    def submit(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> Future[T]:
        """Run a coroutine function on the loop, from another thread.

        Its coroutine is made on the loop: an exception of a signal's handler that comes in between leaves
        none that nobody awaits.
        """
        outcome: Future[T] = Future()

        def begin() -> None:
            try:
                task = asyncio.ensure_future(function(*arguments))
            except Exception as error:  # noqa: BLE001 -- raised where the outcome is looked at
                outcome.set_exception(error)
                return
            task.add_done_callback(settle)
            outcome.add_done_callback(lambda _: cancel(task))

        def settle(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                outcome.cancel()
            elif outcome.set_running_or_notify_cancel():
                error = task.exception()
                outcome.set_exception(error) if error is not None else outcome.set_result(task.result())

        def cancel(task: asyncio.Task[T]) -> None:
            if outcome.cancelled():
                with suppress(RuntimeError):  # the loop is gone, and the task with it
                    self.call(task.cancel)

        self.call(begin)
        return outcome

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop, from another thread; don't wait for it."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def here(self) -> bool:
        """Tell whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def end(self) -> threading.Thread:
        """End the loop; return its thread, which then ends, too."""
        self.call(self._end.set)
        self._ended.add(self._thread.native_id)
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


def _there(thread: int | None) -> bool:
    return Path(f"/proc/self/task/{thread}").exists()


def _wait(still: threading.Event, go_on: threading.Event) -> None:
    still.set()
    go_on.wait(STILL)


os.register_at_fork(
    before=LoopThread.be_still, after_in_parent=LoopThread.go_on, after_in_child=LoopThread.forget
)
