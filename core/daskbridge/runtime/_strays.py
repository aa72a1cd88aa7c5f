"""Find the clients that a body opened to its cluster and left open."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from daskbridge.runtime import _current

if TYPE_CHECKING:
    from typing import Any

    from distributed import Client

logger = logging.getLogger("daskbridge")

_ours: weakref.WeakSet[Client] = weakref.WeakSet()


def own(client: Client) -> None:
    """Remember a client as the core's: no other run takes it for a stray."""
    _ours.add(client)


def strays(address: str) -> list[Any]:  # of Client, whose loop is typed as if it could be missing
    """Return the clients of this process to ``address`` that nobody will close.

    Left alone they would try to reconnect for half a minute and log errors. None, while another
    run of this process uses the same cluster.
    """
    from distributed import Client

    if _current.is_open(address):
        return []
    found = [
        client
        for client in list(Client._instances)  # noqa: SLF001 -- the only list of all clients
        if client not in _ours and client.status in {"running", "connecting"} and _address(client) == address
    ]
    if found:
        logger.info("closing %d clients that the body left open to %s", len(found), address)
    return found


def close_strays(address: str) -> None:
    """Close what :func:`strays` finds, from a thread that runs no loop."""
    for client in strays(address):
        if client.asynchronous:
            client.loop.add_callback(client.close)
        else:
            client.close()
    _current.settle()


async def aclose_strays(address: str) -> None:
    """Close what :func:`strays` finds, from a running loop."""
    import asyncio

    for client in strays(address):
        if not client.asynchronous:
            await asyncio.to_thread(client.close)
        elif client.loop.asyncio_loop is asyncio.get_running_loop():
            await client.close()
        else:
            client.loop.add_callback(client.close)
    _current.settle()


def _address(client: Client) -> str | None:
    return getattr(client.scheduler, "address", None)
