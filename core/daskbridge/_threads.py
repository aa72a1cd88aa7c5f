"""Await a blocking call of foreign code without binding the loop's end to it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds that an ending interpreter leaves to a call which still has its ``late`` to do.
LAST_CHANCE = 30.0


async def in_thread(call: Callable[[], T], *, late: Callable[[T], object] | None = None) -> T:
    """Return what ``call()`` returns, or raise what it raises, from a thread of its own.

    Not from the loop's pool: a loop that ends waits for its pool, so no bound on a call would
    hold. If the awaiting task is cancelled, it goes on at once and the call goes on alone: its
    thread then does ``late(result)``, e.g. closes a cluster that nobody waits for any more, and
    logs an error. The thread is a daemon. It ends with the interpreter, which waits for a ``late``
    for :data:`LAST_CHANCE` seconds. ``SystemExit`` and ``KeyboardInterrupt`` of ``call`` are
    raised as well: in a task of their own they would end the loop, so catch them.

    >>> asyncio.run(in_thread(lambda: 6 * 7))
    42
    """
    loop, arrived, context = asyncio.get_running_loop(), asyncio.Event(), copy_context()
    outcome: Future[T] = Future()
    wanted: Future[bool] = Future()

    def work() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 -- raised where it is awaited, or logged below
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(arrived.set)
        # a cancel may come after the result and before the task runs again: only the task knows
        if wanted.result():
            return
        try:
            result = outcome.result()
            if late is not None:
                late(result)
        except BaseException:
            logging.getLogger("daskbridge").exception("a call failed after its task was cancelled")

    thread = threading.Thread(target=work, name="daskbridge-call", daemon=True)
    thread.start()
    try:
        await arrived.wait()
    except BaseException:
        if late is not None:
            atexit.register(thread.join, LAST_CHANCE)
        wanted.set_result(False)
        raise
    wanted.set_result(True)
    return outcome.result()
