"""Wait so that signals are heard; and for an end that must not be abandoned, however impatient one is."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

#: Seconds after which a thread that waits looks whether a signal came: one that comes just as the wait
#: begins, or to another thread, ends no wait, and its handler would run when that is over.
LOOK = 0.2


def attentively(future: Future[T]) -> T:
    """Wait for ``future``, and let signals interrupt that. Called in the caller's thread."""
    while not future.done():
        concurrent.futures.wait([future], timeout=LOOK)
    return future.result()


def patiently(future: Future[T]) -> T:
    """Wait for ``future`` through interrupts such as Ctrl-C, and raise the first of them afterwards.

    What is waited for has bounds of its own. Called in the caller's thread.
    """
    interrupt: BaseException | None = None
    while not future.done():
        try:
            concurrent.futures.wait([future], timeout=LOOK)
        except BaseException as error:  # noqa: BLE001 -- raised below
            interrupt = interrupt or error
    if interrupt is not None:
        raise interrupt
    return future.result()


async def apatiently(task: asyncio.Task[T]) -> bool:
    """Wait for ``task`` through cancellations, leave its result to the caller, tell whether there was one."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
