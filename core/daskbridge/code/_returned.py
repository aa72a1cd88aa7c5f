"""Wait for the workers that are started again with new code."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from daskbridge.code._sync import receipts_of, status
from daskbridge.errors import CodeNotDelivered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed import Client

    from daskbridge.code._sync import Receipt

#: Seconds between two looks at who is back, at first and at most.
_LOOK, _SLOW_LOOK = 0.005, 0.25
#: Seconds between two calls for workers that are not back.
_RECALL = 5.0


async def returned(  # noqa: PLR0913 -- each but the first two is about the waiting
    client: Client,
    number: int,
    *,
    failure: Callable[[], Awaitable[str | None]],
    recall: Callable[[], Awaitable[None]] | None,
    say: Callable[[str], None],
    timeout: float,
) -> tuple[Receipt, ...]:
    """Wait until ``number`` workers serve with the code of the scheduler; return all receipts.

    ``recall()`` is called now and then, for workers that somebody has given up meanwhile. Raises
    :class:`~daskbridge.errors.CodeNotDelivered` with what kept one away.
    """
    pause, told, recalled = _LOOK, await status(client), time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            while told["serving"] < number and not told["failures"]:
                if words := await failure():
                    raise CodeNotDelivered(f"the workers did not come back: {words}")
                say(f"workers that are back: {told['serving']} of {number}")
                await asyncio.sleep(pause)
                if recall is not None and time.monotonic() - recalled > _RECALL:
                    await recall()
                    recalled = time.monotonic()
                pause = min(1.5 * pause, _SLOW_LOOK)
                told = await status(client)
    except TimeoutError:
        pass
    if told["serving"] < number:
        causes = [f"{worker}: {cause}" for worker, cause in told["failures"].items()]
        missing = f"{number - told['serving']} of {number} workers are not back"
        bound = "" if causes else f" within {timeout:g} s"
        msg = "\n  ".join([f"the scheduler has the new code, {missing}{bound}", *causes])
        hint = "mend what kept them away; who comes late gets the new code"
        raise CodeNotDelivered(msg, hint=hint)
    return receipts_of(told)
