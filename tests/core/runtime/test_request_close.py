"""Ask for the end from a signal handler or another thread: at once, and the body ends in order."""

from __future__ import annotations

import pytest

#: `asked` is how long a request took, from a signal handler of the main thread or from a thread.
PRELUDE = """
    import asyncio, signal
    from concurrent.futures import CancelledError
    from daskbridge.errors import RunCancelled
    topology = Dask(workers=WorkerGroup(1))
    told = {}

    def request():
        begin = time.monotonic()
        block.request_close()
        told["asked"], told["when"] = time.monotonic() - begin, time.monotonic()

    def ask(how, condition):
        signal.signal(signal.SIGUSR1, lambda *_: request())
        def run():
            while not condition():
                time.sleep(0.01)
            told["pids"] = nodes()
            if how == "signal":
                os.kill(os.getpid(), signal.SIGUSR1)
            else:
                request()
        threading.Thread(target=run).start()

    def finish(**outcome):
        report(left=nodes(), seconds=time.monotonic() - told["when"], asked=told["asked"], **outcome)
"""

HOW = pytest.mark.parametrize("how", ["signal", "thread"])


def _told(driver, gone):
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told["asked"] < 0.5
    assert told["left"] == []
    return told


@HOW
def test_while_the_cluster_starts_entering_ends_in_run_cancelled(drive, gone, how):
    driver = drive(
        PRELUDE
        + f"""
    start_slowly()
    block = transient(topology, code=False)
    ask({how!r}, nodes)
    try:
        with block:
            report(entered=True)
    except RunCancelled as error:
        finish(text=str(error))
    """
    )
    told = _told(driver, gone)
    assert told["text"] == "asked to close in step 'provision', before the body began"
    assert told["seconds"] < 10


@HOW
def test_while_an_async_block_starts_entering_ends_in_run_cancelled(drive, gone, how):
    driver = drive(
        PRELUDE
        + f"""
    start_slowly()
    block = transient(topology, code=False)
    async def main():
        ask({how!r}, nodes)
        try:
            async with block:
                report(entered=True)
        except RunCancelled as error:
            finish(text=str(error), tasks=len(asyncio.all_tasks()))
    asyncio.run(main())
    """
    )
    told = _told(driver, gone)
    assert told["text"] == "asked to close in step 'provision', before the body began"
    assert told["tasks"] == 1


@HOW
def test_a_body_that_waits_for_a_result_ends_in_a_cancelled_future(drive, gone, how):
    driver = drive(
        PRELUDE
        + f"""
    block = transient(topology, code=False)
    try:
        with block as cluster:
            future = cluster.client.submit(time.sleep, 60)
            ask({how!r}, lambda: future.status == "pending")
            future.result()
    except CancelledError as error:
        finish(cause=repr(error.__cause__), notes=getattr(error, "__notes__", []))
        report(steps=[(step.name, step.detail) for step in cluster.timeline][-2:])
    """
    )
    told, steps = list(driver.reports())
    assert driver.wait() == (0, "")
    assert told["asked"] < 0.5
    assert told["seconds"] < 15
    assert (told["left"], told["cause"], told["notes"]) == ([], "None", [])
    assert steps["steps"] == [["body", ""], ["close", "the end was asked for"]]


@HOW
def test_an_async_body_that_waits_for_a_result_ends_in_a_cancelled_future(drive, gone, how):
    driver = drive(
        PRELUDE
        + f"""
    block = transient(topology, code=False)
    async def main():
        try:
            async with block as cluster:
                future = cluster.client.submit(time.sleep, 60)
                ask({how!r}, lambda: future.status == "pending")
                await future
        except (CancelledError, asyncio.CancelledError) as error:
            finish(tasks=len(asyncio.all_tasks()), cancelling=asyncio.current_task().cancelling())
    asyncio.run(main())
    """
    )
    told = _told(driver, gone)
    assert told["seconds"] < 15
    assert (told["tasks"], told["cancelling"]) == (1, 0)


@HOW
def test_a_body_that_goes_on_without_the_cluster_leaves_the_block_without_an_error(drive, gone, how):
    driver = drive(
        PRELUDE
        + f"""
    from daskbridge.runtime import _watch
    _watch.ASK = 0.1
    block = transient(topology, code=False)
    with block as cluster:
        ask({how!r}, lambda: True)
        while cluster.client.status != "closed" or nodes():
            time.sleep(0.01)
        threading.Event().wait(5 * _watch.ASK)  # the watch would have looked
        block.request_close()
        cluster.request_close()
    cluster.request_close()
    finish()
    """
    )
    _told(driver, gone)


def test_a_body_that_waits_in_a_client_of_its_own_is_not_left_to_dask_s_reconnecting(drive, gone):
    driver = drive(
        PRELUDE
        + """
    from distributed import Client
    block = transient(topology, code=False)
    try:
        with block:
            with Client() as client:
                future = client.submit(time.sleep, 60)
                ask("thread", lambda: future.status == "pending")
                future.result()
    except CancelledError:
        finish()
    """
    )
    assert _told(driver, gone)["seconds"] < 15


def test_between_the_start_and_the_body_it_is_a_cancel_and_nothing_is_left(drive, gone):
    driver = drive(
        PRELUDE
        + """
    from daskbridge.runtime import _block
    made = _block.Transient._made
    def late(self, client):
        request()
        return made(self, client)
    _block.Transient._made = late
    block = transient(topology, code=False)
    try:
        with block:
            report(entered=True)
    except RunCancelled as error:
        finish(text=str(error))
    """
    )
    assert _told(driver, gone)["text"] == "asked to close before the body began"


def test_before_the_run_is_made_it_is_not_forgotten_and_not_kept_for_the_next_entry(drive, gone):
    driver = drive(
        PRELUDE
        + """
    from daskbridge.runtime import _block
    make = _block.engine_for
    def late(options):
        request()
        return make(options)
    _block.engine_for = late
    block = transient(topology, code=False)
    try:
        with block:
            report(entered=True)
    except RunCancelled as error:
        text = str(error)
    _block.engine_for = make
    block.request_close()
    with block as cluster:
        again = cluster.client.submit(int, 4).result()
    finish(text=text, again=again)
    """
    )
    told = _told(driver, gone)
    assert told["text"] == "asked to close before anything began"
    assert told["again"] == 4
