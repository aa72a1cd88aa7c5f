"""The client that a body has: connected, current while the body runs, dropped or closed at its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from daskbridge.runtime import _current
from daskbridge.runtime._deserted import give_up_if_deserted
from daskbridge.runtime._engine import ASIDE
from daskbridge.runtime._strays import close_quickly, close_strays, own, spare, strays

if TYPE_CHECKING:
    from concurrent.futures import Future

    from distributed import Client

    from daskbridge.runtime._client import RunClient
    from daskbridge.runtime._engine import Engine
    from daskbridge.runtime._loop import LoopThread


class BodyClient:
    """Hold the client of one body, and see to those that the body itself leaves open to its cluster."""

    def __init__(self, engine: Engine, loop: LoopThread) -> None:
        self._engine = engine
        self._loop = loop
        self._client: RunClient | None = None
        self._before: Client | None = None

    def connect(self) -> RunClient:
        """Connect a client that blocks; it lives on the core's loop."""
        from daskbridge.runtime._client import RunClient

        self._client = RunClient(**self._arguments, loop=self._loop.ioloop)
        own(self._client)
        return self._client

    async def aconnect(self) -> RunClient:
        """Connect an asynchronous client on the caller's loop."""
        from daskbridge.runtime._client import RunClient

        client = RunClient(**self._arguments, asynchronous=True)
        own(client)
        await client
        self._client = client
        return client

    def make_current(self, client: RunClient) -> None:
        """Let ``get_client()`` and a bare ``Client()`` find it, and make it fit for this run."""
        spare(self._address)
        _current.opened(self._address, self._engine.handle.security)
        self._before = _current.make_current(client)
        client.code = self._engine.connection.digest
        if self._engine.shares:
            client.leave = self._engine.request_close

    def step_aside(self) -> None:
        """Give ``get_client()`` back to whoever had it before."""
        if self._client is not None:
            _current.make_other_current(self._client, self._before)

    def reset(self) -> None:
        """Undo what made it the current one, before the cluster is gone."""
        if self._client is not None and self._engine.run.ref is not None:
            _current.closed(self._address)
            self.step_aside()

    def drop(self) -> list[Future[None]]:
        """Begin to close the body's clients: their futures are cancelled, they do not try to reconnect."""
        clients: list[Any] = strays(self._address, runs=1)
        if self._client is not None and self._client.status != "closed":
            clients.append(self._client)
        return [
            asyncio.run_coroutine_threadsafe(close_quickly(client, fast=True), client.loop.asyncio_loop)
            for client in clients
            if client.loop is not None and not client.loop.asyncio_loop.is_closed()
        ]

    async def close(self) -> None:
        """Close it, on its own loop, and what the body left open."""
        if self._client is None:
            return
        give_up_if_deserted(self._client)
        try:
            async with asyncio.timeout(ASIDE):
                await close_quickly(self._client)  # close() blocks, this runs on the client's loop
        finally:
            await close_strays(self._address)

    @property
    def _address(self) -> str:
        return self._engine.handle.ref.scheduler_address

    @property
    def _arguments(self) -> dict[str, Any]:
        return {"address": self._address, "security": self._engine.handle.security, "set_as_default": False}
