"""Say in words how far a bundle has come on its way to the nodes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from daskbridge.code._limits import mib
from daskbridge.errors import DaskbridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daskbridge.code._nodes import Status

    #: Called with words, from any thread.
    Tell = Callable[[str], None]

#: Seconds between two looks at who has the code.
_LOOK = 1.0


def amount(what: str, tell: Tell) -> Callable[[int, int], None]:
    """Return what tells how many bytes of how many are done.

    >>> amount("packing the code", print)(1 << 20, 5 << 19)
    packing the code, 1.0 of 2.5 MiB
    """
    return lambda done, total: tell(f"{what}, {done / (1 << 20):.1f} of {mib(total)}")


@asynccontextmanager
async def arriving(status: Status, tell: Tell | None) -> AsyncIterator[None]:
    """Tell now and then, while the block lasts, how many nodes have the code."""
    if tell is None:
        yield
        return
    looking = asyncio.create_task(_look(status, tell))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})


async def _look(status: Status, tell: Tell) -> None:
    with suppress(OSError, DaskbridgeError):  # the block notices by itself, and knows what it means
        while True:
            await asyncio.sleep(_LOOK)
            found = await status()
            have = len(found["receipts"])
            tell(f"code on {have} of {have + len(found['missing'])} nodes")
