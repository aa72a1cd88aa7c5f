"""Be one node of a local cluster, its scheduler or a worker, until somebody wants its end.

The end is wanted by an order, by a signal, by the end of the supervising process, whose socket then closes,
or by that of the driver, which holds the other end of the pipe that is called lifeline here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed.core import Server

#: Bytes of an order at most; the first one has the plugins.
LONGEST = 1 << 28


def spawned() -> None:
    """Start as a program of its own; the arguments are two file descriptors: the socket, the lifeline."""
    orders, lifeline = (int(number) for number in sys.argv[1:3])
    die_with_parent()
    for number in (orders, lifeline):  # what a task starts gets neither
        os.set_inheritable(number, False)
    play(socket.socket(fileno=orders), lifeline)


def play(orders: socket.socket, lifeline: int) -> None:
    """Be what the first line of ``orders`` says, and return when that is over."""
    asyncio.run(_play(orders, lifeline))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


async def _play(orders: socket.socket, lifeline: int) -> None:
    line = Line(*await asyncio.open_connection(sock=orders, limit=LONGEST))
    loop = asyncio.get_running_loop()

    def cut() -> None:
        loop.remove_reader(lifeline)  # it stays readable from now on
        line.end("its driver ended, or asked for the end")

    loop.add_reader(lifeline, cut)
    loop.add_signal_handler(signal.SIGTERM, line.end, "SIGTERM")
    spec = await line.order()
    if spec is not None:
        role = _scheduler if spec["role"] == "scheduler" else _worker
        await role(spec, line)
    loop.remove_reader(lifeline)


class Line:
    """Take orders from the supervising process and reply: JSON, one message a line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ended = asyncio.Event()
        #: Why the node ends, once it is known.
        self.reason = ""

    def reply(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Send one message; a supervisor that is gone needs none."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    def end(self, reason: str) -> None:
        """Want the end, for the first of all reasons."""
        self.reason = self.reason or reason
        self._ended.set()

    async def order(self) -> dict[str, Any] | None:
        """Return the next order, or None when the end is wanted."""
        reading = asyncio.ensure_future(self._reader.readline())
        ending = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        order: dict[str, Any] = {}
        if not self._ended.is_set():
            with suppress(OSError):
                order = json.loads(await reading or "{}")
        reading.cancel()
        if not order or "close" in order:
            self.end(order.get("close", "its supervisor ended"))
            return None
        return order

    async def serve(self, obey: Callable[[dict[str, Any]], Awaitable[None]], node: Any) -> None:  # noqa: ANN401 -- a Server
        """Obey orders until the end is wanted, or the node has ended by itself."""
        gone = asyncio.ensure_future(node.finished())
        gone.add_done_callback(lambda _: self._ended.set())
        while (order := await self.order()) is not None:
            await obey(order)
        if not gone.done():
            gone.cancel()


async def _scheduler(spec: dict[str, Any], line: Line) -> None:
    """Run a scheduler on the loopback interface; every worker of this cluster is told its plugins."""
    from distributed import Scheduler

    from daskbridge.cluster.local_dashboard import DashboardLater, is_there
    from daskbridge.cluster.local_orders import SchedulerOrders

    node: Scheduler | None = None
    try:
        node = Scheduler(
            host="127.0.0.1",
            port=0,
            dashboard_address="127.0.0.1:0",
            dashboard=not is_there(),
            plugins=unpacked(spec["scheduler_plugins"]),
            local_directory=spec["scratch"],
            **secured(spec),
        )
        for plugin, packed in zip(unpacked(spec["worker_plugins"]), spec["worker_plugins"], strict=True):
            node.worker_plugins[plugin.name] = base64.b64decode(packed)
        await node
    except BaseException as error:
        line.reply(error=cause(error))
        if node is not None:
            await node.close(reason="it could not start")
        raise
    try:
        undelayed(node)
        if is_there():
            DashboardLater(node)
        line.reply(address=node.address)
        async with SchedulerOrders(node, spec, line.reply) as orders:
            await line.serve(orders.obey, node)
    finally:
        await node.close(reason=line.reason or "local-node-ends")


async def _worker(spec: dict[str, Any], line: Line) -> None:
    """Run a worker: its plugins are set up before it knows the scheduler."""
    from daskbridge.cluster.local_worker import LocalWorker

    plugins = unpacked(spec["worker_plugins"])
    order = await line.order()
    if order is None:
        return
    try:
        node = LocalWorker(
            order["scheduler"],
            name=spec["name"],
            host="127.0.0.1",
            dashboard=False,
            plugins=plugins,
            **secured(spec),
            **spec["keywords"],
        )
        await node
        undelayed(node)
    except Exception as error:  # noqa: BLE001 -- whatever keeps a worker from starting is reported
        line.reply(error=cause(error))
        return
    line.reply(address=node.address)
    await line.serve(_nothing, node)
    await node.close(reason=line.reason or "local-node-ends")
    line.reply(reason=node.reason)


async def _nothing(order: dict[str, Any]) -> None:
    """Know no order but the end."""


def cause(error: BaseException) -> str:
    """Return the first of a chain of errors, in a line: Dask says of any that something failed to start."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


def undelayed(node: Server) -> None:
    """Let every connection to ``node`` send small packets at once, from its TLS handshake on.

    Dask does so after the handshake only, whose last packets would wait 40 ms for an acknowledgement.
    """
    listeners: list[Any] = node.listeners
    for listener in listeners:
        for listening in listener.tcp_server._sockets.values():  # noqa: SLF001 -- accepted sockets inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def unpacked(plugins: list[str]) -> list[Any]:
    """Return the plugins that travelled as text."""
    return [pickle.loads(base64.b64decode(plugin)) for plugin in plugins]  # noqa: S301 -- from the driver


def secured(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a node speak TLS, if it should."""
    if spec["security"] is None:
        return {}
    from distributed import Security

    return {"protocol": "tls", "security": Security(**spec["security"])}
