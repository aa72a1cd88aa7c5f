"""``transient``: a cluster for one block, with the synchronous and the asynchronous face."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from daskbridge.runtime import _current
from daskbridge.runtime._cluster import Cluster
from daskbridge.runtime._engine import ASIDE, Engine
from daskbridge.runtime._loop import LoopThread
from daskbridge.runtime._options import Options
from daskbridge.runtime._signals import SigtermRaises
from daskbridge.runtime._strays import aclose_strays, close_strays, own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token
    from pathlib import Path
    from types import TracebackType

    from distributed import Client

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.runtime._options import Event
    from daskbridge.topology import Dask


def transient(
    topology: Dask,
    *,
    provisioner: str | Provisioner | None = None,
    code: bool | str | Path | CodeSpec | CodeBundle | None = None,
    cancel: Event | None = None,
    name: str = "",
) -> Transient:
    """Start a cluster for a ``with`` or ``async with`` block and end it when the block is left.

    ``provisioner`` is a name (see ``daskbridge plugins``) or an object; without one the setting
    ``daskbridge.provisioner`` counts, else ``local``. ``code`` is what the nodes get: by default
    the script's project, a path or a ``CodeSpec`` for another, False for nothing. Setting
    ``cancel`` ends provisioning, or the body's waiting for results, with
    :class:`~daskbridge.errors.RunCancelled`. ``name`` is for people.

    In the block ``distributed.get_client()`` and a bare ``Client()`` reach this cluster. The
    block's own error always wins; what goes wrong while closing is noted on it. On SIGTERM the
    main thread leaves the block with ``SystemExit(143)``, unless a handler is installed already.

    The topology is checked at once; everything else happens on entry, and a block that can't be
    entered leaves nothing. Raises a :class:`~daskbridge.errors.DaskbridgeError` that says which.

    >>> from daskbridge import Dask, WorkerGroup, transient
    >>> with transient(Dask(workers=WorkerGroup(2))) as cluster:
    ...     cluster.client.submit(pow, 2, 10).result()
    1024
    """
    return Transient(Options(topology, provisioner, code, cancel, name))


class Transient:
    """Be the context manager that :func:`transient` returns; each entry is a run of its own."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._stack = ExitStack()
        self._engine: Engine
        self._loop: LoopThread
        self._client: Client | None = None
        self._token: Token[Client | None] | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Cluster:
        self._begin()
        try:
            self._loop.submit(self._engine.open()).result()
            from distributed import Client

            self._client = Client(**self._arguments(), loop=self._loop.ioloop)
            cluster = self._made(self._client)
            self._loop.submit(self._engine.started(self._close_client_soon)).result()
        except BaseException as error:
            self._leave(error)
            raise
        return cluster

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    async def __aenter__(self) -> Cluster:
        self._begin()
        try:
            await asyncio.wrap_future(self._loop.submit(self._engine.open()))
            from distributed import Client

            client = Client(**self._arguments(), asynchronous=True)
            own(client)
            self._client = await client
            cluster = self._made(self._client)
            self._task = asyncio.current_task()
            await asyncio.wrap_future(self._loop.submit(self._engine.started(self._canceller())))
        except BaseException as error:
            await self._aleave(error)
            raise
        return cluster

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._aleave(error)

    def _begin(self) -> None:
        self._engine = Engine(self._options)
        self._client = self._task = None
        sigterm = SigtermRaises()
        sigterm.install()
        self._stack.callback(sigterm.remove)
        self._loop = LoopThread.acquire()
        self._stack.callback(LoopThread.release)

    def _arguments(self) -> dict[str, Any]:
        handle = self._engine.handle
        return {"address": handle.ref.scheduler_address, "security": handle.security, "set_as_default": False}

    def _made(self, client: Client) -> Cluster:
        from distributed.client import _current_client  # as_current() also changes global settings

        own(client)
        ref = self._engine.handle.ref
        _current.opened(ref.scheduler_address, self._engine.handle.security)
        self._token = _current_client.set(client)
        return Cluster(self._engine, self._loop, client)

    def _close_client_soon(self) -> None:
        """End what the body waits for; runs on the core's loop, which is this client's, too."""
        assert self._client is not None
        closing = self._client._close(fast=True)  # noqa: SLF001 -- close() would block this loop
        self._closing = asyncio.ensure_future(closing)

    def _canceller(self) -> Callable[[], None]:
        loop, task = asyncio.get_running_loop(), self._task
        assert task is not None

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        return cancel

    def _leave(self, error: BaseException | None) -> None:
        self._reset()
        with _noting(error), self._stack:
            try:
                self._loop.submit(self._engine.ended(error)).result()
                if self._client is not None:
                    self._client.close(timeout=ASIDE)
                    close_strays(self._engine.handle.ref.scheduler_address)
            finally:
                self._loop.submit(self._engine.close("the block was left")).result()
        if error is not None and self._engine.verdict is not None:
            raise self._engine.verdict from error

    async def _aleave(self, error: BaseException | None) -> None:
        self._reset()
        finishing = asyncio.ensure_future(self._afinish(error))
        try:
            await asyncio.shield(finishing)
        except asyncio.CancelledError:
            await finishing
            if self._engine.verdict is None:
                raise
        if error is not None and self._engine.verdict is not None:
            if self._task is not None:
                self._task.uncancel()
            raise self._engine.verdict from error

    async def _afinish(self, error: BaseException | None) -> None:
        with _noting(error), self._stack:
            try:
                await asyncio.wrap_future(self._loop.submit(self._engine.ended(error)))
                if self._client is not None:
                    await asyncio.wait_for(self._client.close(), ASIDE)
                    await aclose_strays(self._engine.handle.ref.scheduler_address)
            finally:
                await asyncio.wrap_future(self._loop.submit(self._engine.close("the block was left")))

    def _reset(self) -> None:
        """Undo what made this cluster the current one, before it is gone."""
        if self._token is None:
            return
        from distributed.client import _current_client

        token, self._token = self._token, None
        _current.closed(self._engine.handle.ref.scheduler_address)
        with suppress(ValueError):  # left in another context than entered: that one is gone already
            _current_client.reset(token)


@contextmanager
def _noting(error: BaseException | None) -> Iterator[None]:
    """Turn an error of closing into a note on the body's error, if there is one."""
    try:
        yield
    except Exception as closing:
        if error is None or closing is error:
            raise
        error.add_note(f"and while the cluster closed: {type(closing).__name__}: {closing}")
