"""Endings that nobody plans: impatience, forks, busy and replaced schedulers."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

HOLD = """
    with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
        report(pids=nodes(), directory=cluster._engine.handle._directory.as_posix())
        {body}
    report(after=True)
"""


def test_ctrl_c_while_the_cluster_closes_does_not_leave_it(drive, gone):
    driver = drive(
        """
        import signal
        from daskbridge.cluster import _local_cluster
        close = _local_cluster.LocalCluster._close
        async def slow(self):
            os.kill(os.getpid(), signal.SIGINT)
            await close(self)
        _local_cluster.LocalCluster._close = slow
        """
        + HOLD.format(body="pass").replace("\n    ", "\n        ")
    )
    told = next(driver.reports())
    code, errors = driver.wait()
    assert code == -signal.SIGINT, errors
    assert gone(told["pids"], timeout=0)
    assert not Path(told["directory"]).exists()


@pytest.mark.parametrize("waits", ["a start", "a turn"])
def test_a_signal_that_wakes_nobody_is_heard(drive, waits):
    driver = drive(
        f"""
        import asyncio, signal

        class Slow:
            name, capabilities, adapts = "slow", frozenset(), {{}}

            def validate(self, topology): ...

            async def provision(self, topology, run):
                report(waits=True)
                await asyncio.sleep(600)

            async def attach(self, ref): ...

        # as where it comes just before the wait: it is taken, but not by the thread that waits
        threading.Thread(target=signal.sigwait, args=([signal.SIGUSR1],), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

        @on_dask(Dask(), provisioner=Slow(), code=False, max_clusters=1)
        def body(): ...

        if {waits!r} == "a turn":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            threading.Thread(target=body, daemon=True).start()
            sys.stdin.readline()
        body()
        """
    )
    assert next(driver.reports()) == {"waits": True}
    driver.process.stdin.write("\n")
    driver.process.stdin.flush()
    driver.process.terminate()  # once: a second one could come when the handler is gone, and kill it
    with suppress(subprocess.TimeoutExpired):
        driver.process.wait(60)
    assert driver.process.returncode == 143, driver.errors.read_text()


def test_cancelling_an_async_block_again_and_again_leaves_nothing(drive, gone):
    driver = drive(
        """
        import asyncio
        async def body():
            async with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
                report(pids=nodes(), directory=cluster._engine.handle._directory.as_posix())
                await asyncio.sleep(60)
        async def main():
            task = asyncio.create_task(body())
            while len(nodes()) < 2:
                await asyncio.sleep(0.05)
            while not task.done():
                task.cancel()
                await asyncio.sleep(0.1)
            report(cancelled=task.cancelled())
        asyncio.run(main())
        """
    )
    told = list(driver.reports())
    code, errors = driver.wait()
    assert (code, told[-1]) == (0, {"cancelled": True}), errors
    assert all(gone(each["pids"], timeout=0) and not Path(each["directory"]).exists() for each in told[:-1])


def test_a_timeout_around_an_async_block_stays_a_timeout(drive):
    driver = drive(
        """
        import asyncio
        async def main():
            try:
                async with asyncio.timeout(None) as bound:
                    async with transient(Dask(workers=WorkerGroup(1)), code=False):
                        bound.reschedule(asyncio.get_running_loop().time() + 0.2)
                        await asyncio.sleep(60)
            except TimeoutError:
                report(timeout=True)
        asyncio.run(main())
        """
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"timeout": True}


def test_an_error_of_the_body_s_own_is_not_taken_for_a_lost_cluster(drive):
    """A scheduler that is busy for a while and a file that is missing have nothing to do with each other."""
    driver = drive(
        """
        with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
            scheduler = scheduler_of(cluster)
            scheduler.suspend()
            threading.Timer(4, scheduler.resume).start()
            open("/no/such/file")
        """
    )
    code, errors = driver.wait()
    assert code == 1
    assert errors.rstrip().splitlines()[-1].startswith(("FileNotFoundError", "daskbridge could not ask"))
    assert "ClusterLost" not in errors


def test_a_child_that_the_body_forks_leaves_the_cluster_to_its_parent(drive, gone):
    driver = drive(
        HOLD.format(
            body="""
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        report(code=code, still=cluster.client.submit(int, 3).result())"""
        )
    )
    began, told, after = list(driver.reports())
    code, errors = driver.wait()
    assert (code, told, after) == (0, {"code": 7, "still": 3}, {"after": True}), errors
    assert gone(began["pids"], timeout=0)


def test_a_forked_child_that_lives_on_does_not_keep_the_nodes(drive, gone):
    driver = drive(
        HOLD.format(
            body="""
        pid = os.fork()
        if pid == 0:
            os.close(1)
            time.sleep(60)
            os._exit(0)
        report(child=pid)
        os.kill(os.getpid(), 9)"""
        )
    )
    began, told = list(driver.reports())
    try:
        assert gone(began["pids"])
    finally:
        psutil.Process(told["child"]).kill()


def test_blocks_that_overlap_need_a_transient_each(drive, gone):
    driver = drive(
        """
        block = transient(Dask(workers=WorkerGroup(1)), code=False)
        with block as cluster:
            pids = nodes()
            try:
                with block:
                    pass
            except RuntimeError as error:
                report(text=str(error), still=cluster.client.submit(int, 3).result(), pids=pids)
        with block as cluster:
            report(again=cluster.client.submit(int, 4).result())
        cluster.close()
        """
    )
    first, second = list(driver.reports())
    assert driver.wait() == (0, "")
    assert "entered already" in first["text"]
    assert (first["still"], second["again"]) == (3, 4)
    assert gone(first["pids"], timeout=0)


def test_closing_in_the_body_ends_its_client_and_the_block_goes_on(drive):
    driver = drive(
        HOLD.format(body="cluster.close()\n        report(left=nodes(), status=cluster.client.status)")
    )
    _, told, after = list(driver.reports())
    assert driver.wait() == (0, "")
    assert (told, after) == ({"left": [], "status": "closed"}, {"after": True})


def test_cancel_reaches_a_body_that_waits_in_a_client_of_its_own(drive):
    driver = drive(
        """
        from distributed import Client
        from daskbridge.errors import RunCancelled
        cancel = threading.Event()
        try:
            with transient(Dask(workers=WorkerGroup(1)), code=False, cancel=cancel):
                own = Client()
                future = own.submit(time.sleep, 60)
                cancel.set()
                future.result()
        except RunCancelled:
            report(cancelled=True)
        """
    )
    assert next(driver.reports(), None) == {"cancelled": True}
    assert driver.wait()[0] == 0


def until_it_listens(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
    pytest.fail(f"nothing listens at port {port}")


@pytest.mark.parametrize(
    "case",
    [("0.2", "2", False), ("600", "2", True), ("600", "0.2", False)],
    ids=["body waits", "body ends first", "body ends before the new scheduler answers"],
)
def test_a_replaced_scheduler_ends_the_body_in_cluster_lost(remote, drive, tmp_path, case):
    looks, ask, listens = case
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ("--port", str(port), "--no-dashboard")
    first = remote.scheduler(*scheduler)
    remote.worker("only")
    driver = drive(
        f"""
        from daskbridge.runtime import _watch
        _watch.LOOK, _watch.ASK = {looks}, {ask}
        interrupted = threading.Event()
        with transient(Dask(), provisioner=Existing({address!r}), on_interrupt=interrupted.set):
            report(ready=True)
            while not interrupted.wait(0.05) and not Path("replaced").exists():
                pass
        """
    )
    next(driver.reports())
    first.kill()
    first.wait()
    killed = time.monotonic()
    remote.scheduler(*scheduler)
    if looks == "600":
        if listens:
            until_it_listens(port)
        (tmp_path / "replaced").touch()
    code, errors = driver.wait()
    assert time.monotonic() - killed < 30
    assert code == 1
    assert f"ClusterLost: the cluster at {address} is lost: its scheduler was replaced" in errors
