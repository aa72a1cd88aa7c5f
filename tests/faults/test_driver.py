"""A driver ends, well or badly, at any stage: its cluster is gone within seconds, its error is the user's."""

from __future__ import annotations

import os
import signal

import pytest

#: A run that has reached a stage and waits there, with a task on every worker if it is the body.
RUN = """
at({stage!r})
with transient(topology, code=False) as cluster:
    futures = busy(cluster)
    running(cluster)
    report(stage="body", pids=everything())
    {body}
"""
#: Seconds from the end of a driver that could do nothing any more until nothing is left.
KILLED = 8
#: Seconds for a driver that can: to interrupt, to close in order and to exit.
CLOSED = 12
STAGES = pytest.mark.parametrize("stage", ["warming", "connecting", "body"])


def at_stage(scene, stage, body="threading.Event().wait(60)"):
    scene.play(RUN.format(stage=stage, body=body))
    told = scene.told()
    assert told["stage"] == stage
    return told["pids"]


@STAGES
def test_a_driver_that_is_killed_takes_all_along(scene, stage):
    pids = at_stage(scene, stage)
    assert len(pids) >= (1 if stage == "warming" else 4)
    with scene.leaves_nothing(within=KILLED):
        scene.process.kill()
        scene.process.wait()


@STAGES
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_leaves_the_block_and_ends_the_driver_as_it_should(scene, stage, number, code):
    at_stage(scene, stage)
    with scene.leaves_nothing(within=CLOSED):
        scene.process.send_signal(number)
        ended, errors = scene.ends()
    # before the block has begun, it is the interpreter's own; imports in threads may make that of SIGINT 1
    assert ended == code or (stage == "warming" and ended in {-number, 1}), errors
    last = errors.rstrip().splitlines()[-1:]
    assert last == ([] if number == signal.SIGTERM else ["KeyboardInterrupt"]), errors


def test_an_exit_without_any_cleaning_up_leaves_nothing(scene):
    with_exit = RUN.format(stage="body", body="os._exit(3)")
    scene.play(with_exit).told()
    with scene.leaves_nothing(within=KILLED):
        assert scene.ends() == (3, "")


def test_an_exit_without_any_cleaning_up_while_it_connects_leaves_nothing(scene):
    scene.play(
        """
        threading.Timer(2, os._exit, [3]).start()
        """
        + RUN.format(stage="connecting", body="pass").replace("\n", "\n        ")
    ).told()
    with scene.leaves_nothing(within=2 + KILLED):
        assert scene.ends() == (3, "")


def test_an_exception_in_the_body_comes_out_on_top(scene):
    at_stage(scene, "body", "raise KeyError('mine')")
    with scene.leaves_nothing(within=CLOSED):
        code, errors = scene.ends()
    lines = errors.splitlines()
    assert (code, lines[0], lines[-1]) == (1, "Traceback (most recent call last):", "KeyError: 'mine'"), (
        errors
    )
    assert errors.count("Traceback") == 1


def test_tasks_that_nobody_can_interrupt_do_not_delay_the_end(scene):
    scene.play(
        """
        with transient(topology, code=False) as cluster:
            futures = busy(cluster)
            running(cluster)
            began = time.monotonic()
        report(seconds=time.monotonic() - began, left=left())
        """
    )
    told = scene.told()
    assert told["seconds"] < 4.5  # they would take five
    assert told["left"] == {}


#: How the warm process is made to lack one of its two ways to notice the driver's end.
NO_SIGNAL = """
from daskbridge.cluster import _zygote
_zygote._PROGRAM = "import types; from daskbridge.cluster import _process;" \\
    "_process.sys = types.SimpleNamespace(platform='other');" + _zygote._PROGRAM
"""
KEPT_OPEN = """
import subprocess
from daskbridge.cluster import _zygote
fds = [*_zygote.lifelines, *(each._control.fileno() for each in _zygote.Zygote._all.values())]
assert len(fds) == 2
keeper = subprocess.Popen(["sleep", "60"], pass_fds=fds, env={}, stdout=subprocess.DEVNULL)
report(keeper=keeper.pid)
"""


def test_without_a_signal_from_the_kernel_the_closed_lifeline_is_enough(scene):
    scene.play(NO_SIGNAL + RUN.format(stage="body", body="threading.Event().wait(60)"))
    scene.told()
    with scene.leaves_nothing(within=KILLED):
        scene.process.kill()
        scene.process.wait()


def test_with_a_lifeline_that_somebody_keeps_open_the_kernel_s_signal_is_enough(scene, gone_at_last):
    body = KEPT_OPEN.replace("\n", "\n    ") + "threading.Event().wait(60)"
    scene.play(RUN.format(stage="body", body=body))
    scene.told()
    gone_at_last(scene.told()["keeper"])
    with scene.leaves_nothing(within=KILLED):
        scene.process.kill()
        scene.process.wait()


def test_with_the_warm_process_killed_before_the_driver_nothing_is_left_but_a_directory(scene):
    scene.play(RUN.format(stage="body", body="report(zygote=zygotes()[0].pid); threading.Event().wait(60)"))
    pids = scene.told()["pids"]
    zygote = scene.told()["zygote"]
    assert zygote in pids
    scene.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(zygote, signal.SIGKILL)
    finally:
        scene.process.kill()
    scene.process.wait()
    with pytest.raises(AssertionError, match="daskbridge-"):
        with scene.leaves_nothing(within=KILLED):
            pass


def test_a_suspended_driver_loses_its_cluster_and_learns_that_afterwards(scene, terms):
    terms(lease_stale=1)
    pids = at_stage(scene, "body", "futures[0].result()")
    scene.process.send_signal(signal.SIGSTOP)
    try:
        scene.wait_until(lambda there: {each.pid for each in there}.isdisjoint(pids[1:]), within=1 + KILLED)
    finally:
        scene.process.send_signal(signal.SIGCONT)
    with scene.leaves_nothing(within=CLOSED):
        code, errors = scene.ends()
    assert code == 1
    last = errors.rstrip().splitlines()[-1]
    assert last.startswith("daskbridge.errors.ClusterLost: the cluster at tls://127.0.0.1:"), errors
    assert "its owner has been silent for 1 s" in last


@pytest.mark.parametrize("stage", ["warming", "connecting", "body"])
def test_a_cancelled_asyncio_task_leaves_nothing_and_is_cancelled(scene, stage):
    scene.play(
        f"""
        at({stage!r})
        async def run():
            async with transient(topology, code=False) as cluster:
                report(stage="body")
                await cluster.client.submit(time.sleep, 600)
        async def main():
            task = asyncio.create_task(run())
            await asyncio.to_thread(sys.stdin.readline)
            began = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled(), time.monotonic() - began
        cancelled, seconds = asyncio.run(main())
        report(cancelled=cancelled, seconds=seconds, left=left())
        """
    )
    assert scene.told()["stage"] == stage
    scene.go_on()
    told = scene.told()
    assert (told["cancelled"], told["left"]) == (True, {})
    assert told["seconds"] < CLOSED
    with scene.leaves_nothing(within=CLOSED):
        assert scene.ends() == (0, "")


CLOSE = {
    "a thread": "threading.Thread(target=cluster.close).start()",
    "a signal handler": "signal.signal(signal.SIGUSR1, lambda *_: cluster.close());"
    " threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()",
}


@pytest.mark.parametrize("how", CLOSE)
def test_closing_the_cluster_from_elsewhere_ends_what_the_body_waits_for(scene, how):
    scene.play(
        f"""
        from concurrent.futures import CancelledError
        try:
            with transient(topology, code=False) as cluster:
                futures = busy(cluster)
                running(cluster)
                began = time.monotonic()
                {CLOSE[how]}
                futures[0].result()
        except CancelledError:
            report(seconds=time.monotonic() - began, left=left())
        """
    )
    told = scene.told()
    assert told["left"] == {}
    assert told["seconds"] < CLOSED
    with scene.leaves_nothing(within=CLOSED):
        assert scene.ends() == (0, "")
