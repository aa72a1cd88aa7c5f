"""Do something on every node or on none, and say which node stood in the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from daskbridge.errors import CodeNotDelivered, DaskbridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    #: Asks the scheduler: ``missing`` are the workers that have not told, ``failures`` says why they can't.
    Status = Callable[[], Awaitable[dict[str, Any]]]

_POLL = 0.02
_SLOWEST = 0.5
_UNDO = 30.0


async def all_told(status: Status) -> dict[str, Any]:
    """Return the status once it misses nobody whom it missed at first.

    Who joins meanwhile tells before it serves, and need not be waited for.
    """
    pause = _POLL
    told = await status()
    awaited = {*told["missing"]}
    while awaited & {*told["missing"]}:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _SLOWEST)
        told = await status()
    return told


@asynccontextmanager
async def on_all_nodes(
    status: Status, undo: Callable[[], Awaitable[None]], *, timeout: float, failed: str
) -> AsyncIterator[None]:
    """Bound a block by ``timeout`` seconds; if it fails, await ``undo()``.

    Raises :class:`~daskbridge.errors.CodeNotDelivered`, which begins with ``failed`` and has the
    cause of each worker; an error that daskbridge raised in the block stays as it is.
    """
    try:
        async with asyncio.timeout(timeout):
            yield
    except BaseException as error:
        failure: BaseException = error
        if isinstance(error, Exception) and not isinstance(error, DaskbridgeError):
            causes = await _causes(status, str(error) or f"not done within {timeout:g} s")
            failure = CodeNotDelivered("\n  ".join([f"{failed}:", *causes]))
        await _undo_noting(undo, failure)
        if failure is error:
            raise
        raise failure from error


async def _causes(status: Status, first: str) -> list[str]:
    try:
        told = await status()
    except (OSError, RuntimeError, DaskbridgeError) as unreachable:
        return [first, f"the scheduler does not answer: {unreachable}"]
    failures = told.get("failures", {})
    lines = [f"{worker}: {cause}" for worker, cause in failures.items()] or [first]
    return lines + [f"{worker}: had not told yet" for worker in told["missing"] if worker not in failures]


async def _undo_noting(undo: Callable[[], Awaitable[None]], failure: BaseException) -> None:
    """Undo, without masking why."""
    try:
        async with asyncio.timeout(_UNDO):
            await undo()
    except Exception as error:  # noqa: BLE001 -- reported as a note of the failure
        failure.add_note(f"and its plugins could not be taken back: {error!r}")
