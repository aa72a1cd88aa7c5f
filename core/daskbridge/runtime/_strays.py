"""Close clients: those of the core, and those that a body opened to its cluster and left open."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread
from daskbridge.runtime import _current

if TYPE_CHECKING:
    from typing import Any

    from distributed import Client

logger = logging.getLogger("daskbridge")

_ours: weakref.WeakSet[Client] = weakref.WeakSet()
_closing: weakref.WeakKeyDictionary[Client, asyncio.Future[None]] = weakref.WeakKeyDictionary()
_before: dict[str, weakref.WeakSet[Client]] = {}


def own(client: Client) -> None:
    """Remember a client as the core's: no other run takes it for a stray."""
    _ours.add(client)


async def close_quickly(client: Client, *, fast: bool = False) -> None:
    """Close a client on its own loop; whoever comes second waits for the first.

    One without a connection would try for two seconds to end in order, so it ends at once.
    """
    closing = _closing.get(client)
    if closing is None:
        close = client._close(fast=fast or client.status != "running")  # noqa: SLF001 -- close() may block
        closing = _closing[client] = asyncio.ensure_future(close)
    await asyncio.shield(closing)


def spare(address: str) -> None:
    """Remember whose clients are there before the first run of this process uses a cluster: they stay."""
    from distributed import Client

    if not _current.runs_on(address):
        _before[address] = weakref.WeakSet(Client._instances)  # noqa: SLF001 -- as below


def strays(
    address: str, *, runs: int = 0
) -> list[Any]:  # of Client, whose loop is typed as if it could be missing
    """Return the clients of this process to ``address`` that nobody will close.

    None, while more than ``runs`` runs of this process use that cluster: they may be another's.
    """
    from distributed import Client

    if _current.runs_on(address) > runs:
        return []
    return [
        client
        for client in list(Client._instances)  # noqa: SLF001 -- the only list of all clients
        if client not in _ours
        and client not in _before.get(address, ())
        and client.status in {"running", "connecting"}
        and getattr(client.scheduler, "address", None) == address
    ]


async def close_strays(address: str) -> None:
    """Close what :func:`strays` finds: left alone they would try to reconnect for half a minute."""
    for client in strays(address):
        logger.info("closing a client that the body left open to %s", address)
        if not client.asynchronous:
            await in_thread(client.close)
        elif client.loop.asyncio_loop is asyncio.get_running_loop():
            await client.close()
        else:
            client.loop.add_callback(client.close)
    if not _current.runs_on(address):
        _before.pop(address, None)
    _current.settle()
