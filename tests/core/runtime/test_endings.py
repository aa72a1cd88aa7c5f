"""However a run ends, the error is the user's and nothing is left."""

from __future__ import annotations

import signal

import pytest

HOLD = """
    with transient(Dask(workers=WorkerGroup(1))) as cluster:
        report(pids=nodes(), scheduler=cluster.scheduler_address)
        {body}
    report(after=True)
"""


def test_the_body_s_error_wins_and_names_itself(drive, gone):
    driver = drive(HOLD.format(body="raise KeyError('mine')"))
    pids = next(driver.reports())["pids"]
    code, errors = driver.wait()
    assert code == 1
    assert errors.rstrip().splitlines()[-1] == "KeyError: 'mine'"
    assert "main.py" in errors  # its traceback is there
    assert gone(pids, timeout=0)


def test_an_error_of_closing_is_a_note_on_the_body_s_error(drive):
    body = """
        import daskbridge.cluster._local as local
        async def broken(self):
            await close(self)
            raise OSError("no end")
        close, local.LocalCluster._close = local.LocalCluster._close, broken
        raise KeyError("mine")
    """
    driver = drive(HOLD.format(body=body.strip().replace("\n    ", "\n    ")))
    list(driver.reports())
    _, errors = driver.wait()
    assert errors.rstrip().splitlines()[-2:] == [
        "KeyError: 'mine'",
        "and while the cluster closed: OSError: no end",
    ]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_leaves_the_block_in_order(drive, gone, number, code):
    driver = drive(HOLD.format(body="time.sleep(60)"))
    pids = next(driver.reports())["pids"]
    driver.process.send_signal(number)
    ended, errors = driver.wait()
    assert ended == code, errors
    assert gone(pids, timeout=0)


def test_a_signal_while_the_cluster_starts_leaves_nothing(drive, gone):
    driver = drive(
        """
        def tell():
            while len(nodes()) < 2:
                time.sleep(0.01)
            report(pids=nodes())
        threading.Thread(target=tell).start()
        with transient(Dask(workers=WorkerGroup(2))):
            report(entered=True)
        """
    )
    reports = driver.reports()
    pids = next(reports)["pids"]
    driver.process.send_signal(signal.SIGTERM)
    assert list(reports) == []
    assert driver.wait()[0] == 143
    assert gone(pids, timeout=0)


LEFT = """
    import tempfile
    (PROJECT.parent / "temporary").mkdir()
    tempfile.tempdir = str(PROJECT.parent / "temporary")
"""


def test_nodes_end_when_the_driver_is_killed_and_take_their_files_along(drive, gone, tmp_path):
    driver = drive(LEFT + HOLD.format(body="time.sleep(60)").replace("nodes()", "everything()"))
    pids = next(driver.reports())["pids"]
    assert [path.name[:11] for path in (tmp_path / "temporary").iterdir()] == ["daskbridge-"]
    driver.process.kill()
    assert gone(pids)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_body_in_a_thread_that_the_interpreter_leaves_behind_leaves_nothing_else(drive, gone, tmp_path):
    """As `flyte run --local` does on Ctrl-C."""
    driver = drive(
        LEFT
        + """
    def body():
        with transient(Dask()):
            report(pids=everything())
            time.sleep(60)
    threading.Thread(target=body, daemon=True).start()
    threading.Event().wait()
    """
    )
    pids = next(driver.reports())["pids"]
    driver.process.send_signal(signal.SIGINT)
    driver.wait()
    assert gone(pids)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_scheduler_that_dies_ends_a_waiting_body_in_cluster_lost(drive, gone):
    driver = drive(
        HOLD.format(
            body="""
        scheduler_of(cluster).kill()
        cluster.client.submit(time.sleep, 60).result()"""
        )
    )
    pids = next(driver.reports())["pids"]
    code, errors = driver.wait()
    assert code == 1
    assert "daskbridge.errors.ClusterLost: the cluster at tls://127.0.0.1:" in errors
    assert gone(pids, timeout=0)


CANCEL = """
    import asyncio
    cancel = threading.Event()
    topology = Dask(workers=WorkerGroup(1))

    def later(condition):
        def run():
            while not condition():
                time.sleep(0.01)
            told["pids"], told["asked"] = nodes(), time.monotonic()
            cancel.set()
        threading.Thread(target=run).start()

    told = {}
"""


def _cancelled(driver, gone):
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert told["error"] == "RunCancelled"
    assert told["seconds"] < 10
    assert gone(told["pids"], timeout=0)
    return told


def test_cancel_ends_provisioning(drive, gone):
    driver = drive(
        CANCEL
        + """
    from daskbridge.errors import RunCancelled
    start_slowly()
    later(nodes)
    try:
        with transient(topology, cancel=cancel):
            report(entered=True)
    except RunCancelled as error:
        told["seconds"] = time.monotonic() - told.pop("asked")
        report(error=type(error).__name__, text=str(error), **told)
    """
    )
    assert "before the body began" in _cancelled(driver, gone)["text"]


def test_cancel_ends_a_body_that_waits_for_a_result(drive, gone):
    driver = drive(
        CANCEL
        + """
    from daskbridge.errors import RunCancelled
    try:
        with transient(topology, cancel=cancel) as cluster:
            later(lambda: True)
            try:
                cluster.client.submit(time.sleep, 60).result()
            finally:
                seconds = time.monotonic() - told["asked"]
    except RunCancelled as error:
        report(error=type(error).__name__, seconds=seconds, pids=told["pids"])
    """
    )
    _cancelled(driver, gone)


def test_cancel_ends_an_async_body_wherever_it_awaits(drive, gone):
    driver = drive(
        CANCEL
        + """
    from daskbridge.errors import RunCancelled
    async def main():
        async with transient(topology, cancel=cancel) as cluster:
            later(lambda: True)
            try:
                await asyncio.sleep(60)
            finally:
                told["seconds"] = time.monotonic() - told["asked"]
    try:
        asyncio.run(main())
    except RunCancelled as error:
        report(error=type(error).__name__, seconds=told["seconds"], pids=told["pids"])
    """
    )
    _cancelled(driver, gone)


def test_an_async_block_has_a_client_on_the_caller_s_loop_and_leaves_nothing(drive, gone):
    driver = drive(
        """
        import asyncio, helper
        async def main():
            async with transient(Dask(workers=WorkerGroup(1))) as cluster:
                hide()
                from distributed import get_client
                same = cluster.client.loop.asyncio_loop is asyncio.get_running_loop()
                found = await cluster.client.gather(cluster.client.map(helper.double, range(3)))
                report(same=same, found=found, current=get_client() is cluster.client, pids=nodes())
            report(tasks=len(asyncio.all_tasks()), threads=[t.name for t in threading.enumerate()])
        asyncio.run(main())
        """,
        helper="def double(x):\n    return 2 * x\n",
    )
    told, after = list(driver.reports())
    code, errors = driver.wait()
    assert (code, errors) == (0, "")
    assert (told["same"], told["found"], told["current"]) == (True, [0, 2, 4], True)
    assert gone(told["pids"], timeout=0)
    assert (after["tasks"], after["threads"][0]) == (1, "MainThread")
    assert [name for name in after["threads"] if "daskbridge" in name] == ["daskbridge-local"]


def test_an_async_block_may_have_a_blocking_client_for_a_body_in_a_thread(drive, gone):
    driver = drive(
        """
        import asyncio, helper
        from distributed import Client, get_client
        def body():
            with Client() as bare:
                found = bare.gather(bare.map(helper.double, range(3)))
            return found, get_client().submit(helper.double, 3).result()
        async def main():
            async with transient(Dask(workers=WorkerGroup(1)), asynchronous=False) as cluster:
                found = await asyncio.to_thread(body)
                blocking = cluster.client.submit(helper.double, 4).result()
                report(found=found, blocking=blocking, pids=nodes())
            report(status=cluster.client.status, tasks=len(asyncio.all_tasks()))
        asyncio.run(main())
        try:
            with transient(Dask(), asynchronous=True): pass
        except TypeError as error:
            report(error=str(error))
        """,
        helper="def double(x):\n    return 2 * x\n",
    )
    told, after, refused = list(driver.reports())
    code, errors = driver.wait()
    assert (code, errors) == (0, "")
    assert (told["found"], told["blocking"]) == ([[0, 2, 4], 6], 8)
    assert (after["status"], after["tasks"]) == ("closed", 1)
    assert gone(told["pids"], timeout=0)
    assert "an asynchronous client needs a running loop" in refused["error"]


@pytest.mark.parametrize("client", ["cluster.client", "Client()"], ids=["ours", "bare"])
def test_a_body_may_shut_its_cluster_down_and_go_on(drive, gone, client):
    driver = drive(
        f"""
        from distributed import Client
        from daskbridge.runtime import _watch
        with transient(Dask()) as cluster:
            pids = nodes()
            {client}.shutdown()
            threading.Event().wait(2 * _watch.ASK)  # the watch looks
            ended = time.monotonic()
        report(pids=pids, seconds=time.monotonic() - ended)
        """
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert (code, errors) == (0, "")
    assert told["seconds"] < 5
    assert gone(told["pids"], timeout=0)


def test_a_cancel_while_the_blocking_client_connects_leaves_nothing(drive, gone):
    driver = drive(
        """
        import asyncio
        from distributed import Client
        from daskbridge.runtime import _client
        connect = _client.RunClient._ensure_connected
        async def slow(self, *args, **kwargs):
            if not self._asynchronous:
                loop.call_soon_threadsafe(task.cancel)
                await asyncio.sleep(0.3)
            return await connect(self, *args, **kwargs)
        _client.RunClient._ensure_connected = slow
        async def body():
            async with transient(Dask(), asynchronous=False):
                report(entered=True)
        async def main():
            global loop, task
            loop, task = asyncio.get_running_loop(), asyncio.create_task(body())
            await asyncio.wait([task])
            report(cancelled=task.cancelled(), clients=[client.status for client in Client._instances])
        asyncio.run(main())
        report(pids=nodes())
        """
    )
    told, after = list(driver.reports())
    code, errors = driver.wait()
    assert (code, errors) == (0, "")
    assert (told["cancelled"], set(told["clients"])) == (True, {"closed"})
    assert after["pids"] == []


def test_an_async_task_that_is_cancelled_leaves_nothing(drive, gone):
    driver = drive(
        """
        import asyncio
        async def body():
            async with transient(Dask(workers=WorkerGroup(1))):
                report(pids=nodes())
                await asyncio.sleep(60)
        async def main():
            task = asyncio.create_task(body())
            while not nodes():
                await asyncio.sleep(0.05)
            pids = nodes()
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                report(cancelled=True, pids=pids)
        asyncio.run(main())
        """
    )
    told = list(driver.reports())[-1]
    code, errors = driver.wait()
    assert (code, told["cancelled"]) == (0, True), errors
    assert gone(told["pids"], timeout=0)


def test_close_from_another_thread_and_from_a_signal_handler_ends_the_cluster_once(drive, gone):
    driver = drive(
        HOLD.format(
            body="""
        import signal
        ended = []
        signal.signal(signal.SIGUSR1, lambda *_: (cluster.close(), ended.append(nodes())))
        threads = [threading.Thread(target=cluster.close) for _ in range(2)]
        [thread.start() for thread in threads]
        os.kill(os.getpid(), signal.SIGUSR1)
        [thread.join() for thread in threads]
        report(left=nodes(), handler=ended)"""
        )
    )
    began, told, after = list(driver.reports())
    code, errors = driver.wait()
    assert (code, after) == (0, {"after": True}), errors
    assert (told["left"], told["handler"]) == ([], [[]])
    assert gone(began["pids"], timeout=0)


def test_a_client_that_is_closed_while_it_reconnects_says_nothing(drive):
    driver = drive(
        """
        import asyncio
        from distributed import Scheduler
        from daskbridge.runtime._client import RunClient
        from daskbridge.runtime._strays import close_quickly

        async def main():
            scheduler = await Scheduler(port=0, host="127.0.0.1", dashboard_address="127.0.0.1:0")
            client = await RunClient(scheduler.address, asynchronous=True)
            await scheduler.close()
            while not client._connecting_to_scheduler:
                await asyncio.sleep(0)
            await close_quickly(client, fast=True)
            report(status=client.status)

        asyncio.run(asyncio.wait_for(main(), 30))
        """
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert (code, told) == (0, {"status": "closed"})
    assert "Traceback" not in errors
