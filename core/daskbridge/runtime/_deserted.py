"""An event loop that is closed before the body on it has ended: nobody will leave the block."""

from __future__ import annotations

import asyncio
import logging
import threading
from itertools import chain
from typing import TYPE_CHECKING, Any

from daskbridge.errors import RunCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks at the loop.
LOOK = 0.2

logger = logging.getLogger("daskbridge")


async def until_deserted(caller: asyncio.AbstractEventLoop, leave: Callable[[BaseException], None]) -> None:
    """Wait on the core's loop until the caller's is closed, and then leave the block, in a thread.

    A signal handler that raises ends ``run_until_complete()``; what ran on the loop stays as it is.
    """
    while not caller.is_closed():
        await asyncio.sleep(LOOK)
    error = RunCancelled("the event loop of the body was closed before the body had ended")
    logger.warning("%s; its cluster ends now", error)
    threading.Thread(target=leave, args=(error,), name="daskbridge-leave").start()


def give_up_if_deserted(client: Any) -> None:  # noqa: ANN401 -- a Client, typed as if it had no loop
    """Take a client whose loop is closed for closed, and close its sockets: it can't do that by itself."""
    if client.loop is None or not client.loop.asyncio_loop.is_closed():
        return
    client.status = "closed"
    comms = {comm for pool in (client.rpc.available, client.rpc.occupied) for comm in chain(*pool.values())}
    if client.scheduler_comm is not None:
        comms.add(client.scheduler_comm.comm)
    for comm in comms:
        if comm.stream is not None:
            comm.stream.socket.close()
