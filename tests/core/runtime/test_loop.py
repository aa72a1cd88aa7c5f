"""The core's own loop: what comes to it from other threads."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import CancelledError
from threading import Event

import pytest

from daskbridge.runtime._loop import LoopThread

BOUND = 30


@pytest.fixture
def loop():
    """Give the loop's thread; it ends with the test."""
    yield LoopThread.acquire()
    LoopThread.release()


async def answer(value):
    if isinstance(value, BaseException):
        raise value
    return value


def test_what_a_coroutine_ends_in_comes_back(loop):
    assert loop.submit(answer, 42).result(BOUND) == 42
    with pytest.raises(ValueError, match="mine"):
        loop.submit(answer, ValueError("mine")).result(BOUND)


def test_a_function_that_gives_no_coroutine_is_an_error_and_no_endless_wait(loop):
    with pytest.raises(TypeError):
        loop.submit(len, ()).result(BOUND)


def test_a_cancel_reaches_the_loop_and_one_there_comes_back(loop):
    begun, cancelled = Event(), Event()

    async def wait():
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    waiting = loop.submit(wait)
    assert begun.wait(BOUND)
    assert waiting.cancel()
    assert cancelled.wait(BOUND)
    with pytest.raises(CancelledError):
        loop.submit(answer, asyncio.CancelledError()).result(BOUND)


def test_an_exception_before_it_comes_to_the_loop_leaves_no_coroutine(loop, monkeypatch):
    """As that of a signal's handler; Python would warn of a coroutine that was never awaited."""

    def interrupted(*_):
        raise SystemExit(143)

    monkeypatch.setattr(loop, "call", interrupted)
    with pytest.raises(SystemExit):
        loop.submit(answer, 42)
    gc.collect()
    monkeypatch.undo()
