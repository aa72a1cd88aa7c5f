"""A blocking call binds neither the loop that awaits it nor the interpreter."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from daskbridge import _threads
from daskbridge._threads import in_thread

LONG = 20


def test_a_loop_ends_while_its_call_goes_on():
    go, ended = threading.Event(), threading.Event()

    def call():
        go.wait(LONG)
        ended.set()

    async def main():
        await asyncio.wait_for(in_thread(call), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert not ended.is_set()
    go.set()
    assert ended.wait(LONG)


def test_what_arrives_after_a_cancel_is_cleaned_up():
    go, late = threading.Event(), threading.Event()

    async def main():
        await asyncio.wait_for(in_thread(lambda: go.wait(LONG) and late, late=threading.Event.set), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    go.set()
    assert late.wait(LONG)


def test_a_cancel_between_the_result_and_the_task_s_next_step_loses_nothing(monkeypatch):
    late = threading.Event()

    class Racing(asyncio.Event):
        def set(self):
            super().set()
            task.cancel()

    async def main():
        nonlocal task
        monkeypatch.setattr(_threads.asyncio, "Event", Racing)
        task = asyncio.create_task(in_thread(lambda: late, late=threading.Event.set))
        await asyncio.wait({task})
        assert task.cancelled()

    task = None
    asyncio.run(main())
    assert late.wait(LONG)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=["error", "exit"])
def test_what_the_call_raises_is_raised_where_it_is_awaited(error):
    def call():
        raise error

    async def main():
        with pytest.raises(type(error)) as caught:
            await in_thread(call)
        assert caught.value is error

    asyncio.run(main())


ABANDONED = """
import asyncio, threading
from daskbridge._threads import in_thread
ending = threading.main_thread().join  # returns when the interpreter begins to end

async def main(late):
    await asyncio.wait_for(in_thread(ending, late=late), 0.01)

try:
    asyncio.run(main({late}))
except TimeoutError:
    print("cancelled")
"""


def python(program):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONG)


def test_an_interpreter_that_ends_waits_for_the_clean_up():
    program = ABANDONED.replace("{late}", "lambda _: print('cleaned up')")

    done = python(program)

    assert (done.stdout, done.stderr) == ("cancelled\ncleaned up\n", "")


def test_an_interpreter_that_ends_waits_for_nothing_else():
    program = ABANDONED.replace("{late}", "None").replace("(ending", "(threading.Event().wait")

    done = python(program)

    assert (done.stdout, done.stderr) == ("cancelled\n", "")
