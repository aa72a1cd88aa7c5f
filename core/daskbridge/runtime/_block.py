"""The block that a cluster lives in: with the synchronous and the asynchronous face."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from daskbridge._threads import in_thread
from daskbridge.runtime._body_client import BodyClient
from daskbridge.runtime._cluster import Cluster
from daskbridge.runtime._deserted import until_deserted
from daskbridge.runtime._loop import LoopThread
from daskbridge.runtime._nested import refuse_inside_dask
from daskbridge.runtime._sharing import engine_for
from daskbridge.runtime._signals import SigtermRaises
from daskbridge.runtime._wait import apatiently, attentively, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from concurrent.futures import Future
    from types import TracebackType

    from daskbridge.runtime._client import RunClient
    from daskbridge.runtime._engine import Engine
    from daskbridge.runtime._options import Options


#: What a body is left by for a reason of the caller's, whatever happens to the cluster.
LEAVING = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Transient:
    """Be the context manager that :func:`transient` returns; each entry is a run of its own."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._entered = self._begun = self._asked = self._cancelled = False
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._stack = ExitStack()
        self._engine: Engine
        self._loop: LoopThread
        self._caller: asyncio.AbstractEventLoop | None
        self._deserted: Future[None] | None
        self._client: BodyClient

    def __enter__(self) -> Cluster:
        if self._options.asynchronous:
            msg = "an asynchronous client needs a running loop; use 'async with', or drop asynchronous=True"
            raise TypeError(msg)
        with self._entering():
            self._options.warm()
            self._engine = engine_for(self._options)
            self._loop = LoopThread.acquire()
        self._begin(None)
        try:
            attentively(self._loop.submit(self._engine.open))
            cluster = self._made(self._client.connect())
            attentively(self._loop.submit(self._engine.started, self._interrupt, self._client.drop))
        except BaseException as error:
            self._leave(error)
            raise
        return cluster

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    async def __aenter__(self) -> Cluster:
        with self._entering():
            # in threads: what is imported for these would block the caller's loop
            await in_thread(self._options.warm)
            self._engine = await in_thread(lambda: engine_for(self._options))
            self._loop = await in_thread(LoopThread.acquire, late=lambda _: LoopThread.release())
        caller = asyncio.get_running_loop()
        self._begin(caller)
        self._deserted = self._loop.submit(until_deserted, caller, self._leave)
        self._owned_by(asyncio.current_task())
        try:
            await self._on_core(self._engine.open)
            if self._options.asynchronous is False:
                connecting = asyncio.ensure_future(in_thread(self._client.connect))
                cancelled = await apatiently(connecting)  # it is bounded, and must be closed in any case
                client = connecting.result()
                if cancelled:
                    raise asyncio.CancelledError  # noqa: TRY301 -- as if it had come a moment later
            else:
                client = await self._client.aconnect()
            cluster = self._made(client)
            await self._on_core(self._engine.started, self._interrupt, self._client.drop)
        except BaseException as error:
            await self._aleave(error)
            raise
        return cluster

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._aleave(error)

    def request_close(self) -> None:
        """Ask for the end of what is entered, and return at once; for signal handlers and other threads.

        A start ends in :class:`~daskbridge.errors.RunCancelled`. In the body it is
        :meth:`Cluster.request_close`. A block that is not entered takes no notice.
        """
        self._asked = True
        if self._begun:
            self._engine.request_close()

    def step_aside(self) -> None:
        """Give ``get_client()`` back to whoever had it before; :meth:`Cluster.context` takes it again."""
        self._client.step_aside()
        self._task = None  # nobody is to be cancelled

    @contextmanager
    def step(self) -> Iterator[None]:
        """Let a lost cluster or a cancel interrupt the calling task, and only meanwhile."""
        self._owned_by(asyncio.current_task())
        try:
            yield
        finally:
            self._task = None

    def _owned_by(self, task: asyncio.Task[Any] | None) -> None:
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()

    @contextmanager
    def _entering(self) -> Iterator[None]:
        refuse_inside_dask()
        if self._entered:
            msg = "this block is entered already; call transient() once for each block that overlaps"
            raise RuntimeError(msg)
        self._entered, self._begun, self._asked, self._cancelled = True, False, False, False
        try:
            yield
        except BaseException:
            self._entered = False
            raise

    def _begin(self, caller: asyncio.AbstractEventLoop | None) -> None:
        self._caller, self._pid = caller, os.getpid()
        self._engine.run.loop = caller
        self._client, self._deserted = BodyClient(self._engine, self._loop), None
        self._begun = True
        if self._asked:
            self._engine.request_close()
        sigterm = SigtermRaises()
        sigterm.install()
        self._stack.callback(sigterm.remove)

    def _made(self, client: RunClient) -> Cluster:
        self._client.make_current(client)
        return Cluster(self._engine, self._loop, client)

    def _on_core(
        self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> asyncio.Future[None]:
        return asyncio.wrap_future(self._loop.submit(function, *arguments))

    def _interrupt(self) -> None:
        """End what the body waits for; runs on the core's loop."""
        self._client.drop()
        if self._caller is not None and not self._caller.is_closed():
            self._caller.call_soon_threadsafe(self._cancel_body)
        if self._options.on_interrupt is not None:
            self._options.on_interrupt()

    def _cancel_body(self) -> None:
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()

    def _leave(self, error: BaseException | None) -> None:
        if os.getpid() != self._pid:
            return  # a forked child: the run is its parent's
        if self._loop.here():
            # a generator that nobody holds any more is closed by whatever thread collects it
            threading.Thread(target=self._leave, args=(error,), name="daskbridge-leave").start()
            return
        self._reset()
        with _noting(error), self._stack:
            try:
                patiently(self._loop.submit(self._finish, error))
            finally:
                LoopThread.release()
        verdict = self._engine.verdict
        if verdict is not None and not isinstance(error, LEAVING):
            raise verdict from error

    async def _finish(self, error: BaseException | None) -> None:
        """End the run; on the core's loop, which is the synchronous client's, too."""
        try:
            await self._engine.ended(error)
            await self._client.close()
        finally:
            await self._engine.close("the block was left")

    async def _aleave(self, error: BaseException | None) -> None:
        if os.getpid() != self._pid or not self._entered:
            return  # a forked child: the run is its parent's; or its loop was closed, and it was left
        self._reset()
        finishing = asyncio.ensure_future(self._afinish(error))
        cancelled = await apatiently(finishing)
        cancelled |= await apatiently(asyncio.ensure_future(LoopThread.arelease()))
        with _noting(error), self._stack:
            finishing.result()
        verdict, task = self._engine.verdict, self._task or asyncio.current_task()
        assert task is not None
        if self._cancelled:  # by us: the caller must not see it as a cancellation
            task.uncancel()
        if task.cancelling() > self._cancelling:
            if cancelled:
                raise asyncio.CancelledError
        elif verdict is not None and not isinstance(error, LEAVING):
            raise verdict from error

    async def _afinish(self, error: BaseException | None) -> None:
        """End the run; on the caller's loop, which is an asynchronous client's, too."""
        try:
            await self._on_core(self._engine.ended, error)
            if self._options.asynchronous is False:
                await self._on_core(self._client.close)
            else:
                await self._client.close()
        finally:
            await self._on_core(self._engine.close, "the block was left")

    def _reset(self) -> None:
        """Undo what made this cluster the current one, before it is gone."""
        self._entered = False
        if self._deserted is not None:
            self._deserted.cancel()
        self._client.reset()


@contextmanager
def _noting(error: BaseException | None) -> Iterator[None]:
    """Turn an error of closing into a note on the body's error, if there is one."""
    try:
        yield
    except Exception as closing:
        if error is None or closing is error:
            raise
        error.add_note(f"and while the cluster closed: {type(closing).__name__}: {closing}")
