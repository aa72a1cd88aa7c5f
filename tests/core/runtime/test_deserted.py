"""A loop that is abandoned while a body runs on it: the cluster ends, though nobody leaves its block."""

from __future__ import annotations

import pytest

PROGRAM = """
    import asyncio, contextlib, gc, signal, dask.config
    dask.config.set({"daskbridge.display": "off", "daskbridge.local-warm": 0})

    class Interrupted(KeyboardInterrupt): pass

    def interrupt(*_):
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)

    class Slow:
        name, capabilities, adapts = "slow", frozenset(), {}
        def validate(self, topology): ...
        async def attach(self, ref): ...
        async def provision(self, topology, run):
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(600)
            finally:
                report(cancelled=True)

    def descriptors():
        return {os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{each}")}

    def abandoned(start):
        loop = asyncio.new_event_loop()
        with contextlib.suppress(Interrupted):
            loop.run_until_complete(start())
        loop.close()

    def left():
        end = time.monotonic() + 30
        while (found := _left()) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def _left():
        return [thread.name for thread in threading.enumerate()][1:] + everything()
"""


def test_a_body_whose_loop_is_closed_leaves_nothing(drive):
    driver = drive(
        PROGRAM
        + """
    from distributed import get_client

    async def warm():
        async with transient(Dask(), code=False):
            pass

    @on_dask(Dask(), code=False)
    async def body():
        task = get_client().submit(time.sleep, 600)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await task

    asyncio.run(warm())
    gc.collect()
    before = descriptors()
    abandoned(body)
    found = left()
    try:
        current = repr(get_client())
    except ValueError:
        current = None
    gc.collect()
    report(left=found, current=current, descriptors=sorted(descriptors() - before))
        """
    )
    assert next(driver.reports()) == {"left": [], "current": None, "descriptors": []}
    code, printed = driver.wait()
    assert code == 0, printed
    assert "the event loop of the body was closed before the body had ended; its cluster ends now" in printed


def test_a_start_whose_loop_is_closed_is_cancelled(drive):
    driver = drive(
        PROGRAM
        + """
    @on_dask(Dask(), provisioner=Slow(), code=False)
    async def body(): ...

    abandoned(body)
    report(left=left())
        """
    )
    reports = driver.reports()
    assert next(reports) == {"cancelled": True}
    assert next(reports) == {"left": []}
    assert driver.wait()[0] == 0


@pytest.mark.parametrize("thread", ["same", "another"])
def test_a_coroutine_that_is_closed_after_its_loop_does_nothing_more(drive, thread):
    driver = drive(
        PROGRAM
        + f"""
    @on_dask(Dask(), code=False)
    async def body():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(600)

    running = body()
    abandoned(lambda: running)
    found = left()
    if {thread!r} == "same":
        running.close()
    else:
        closing = threading.Thread(target=running.close)
        closing.start()
        closing.join(30)
    report(left=found + left())
        """
    )
    assert next(driver.reports()) == {"left": []}
    code, printed = driver.wait()
    assert code == 0, printed
    assert "Error" not in printed
