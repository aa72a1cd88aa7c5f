"""A node dies, is stopped, needs too much or can't listen: it comes again, or the body learns what happened.

That a scheduler which was replaced at the same address ends the body is tested where nobody supervises it:
``tests/core/runtime/test_rough_endings.py``.
"""

from __future__ import annotations

import pytest

#: Seconds for the news of a death to interrupt the body, and for the rest to end.
LOST = 10
#: Seconds for a worker that died to be there again, with its code.
AGAIN = 10
#: Seconds for a node that does not listen to be killed, and for the rest.
DEAF = 8

HELPER = "def double(x):\n    return 2 * x\n"
#: Bring one worker to its end and wait for its namesake, which must have the code.
REBORN = """
import logging, helper
from daskbridge import *
logging.basicConfig(level="INFO", stream=sys.stderr)
topology = Dask(workers=WorkerGroup(1, threads=1, resources=Resources(memory="300Mi")))
with transient(topology) as cluster:
    client = cluster.client
    hide()
    first = client.submit(os.getpid, pure=False).result()
    began = time.monotonic()
    {harm}
    while True:
        try:
            second = client.submit(os.getpid, pure=False, retries=5).result(timeout=20)
        except distributed.scheduler.KilledWorker:
            continue
        if second != first:
            break
    found = client.submit(helper.double, 4).result(timeout=20)
    report(
        seconds=time.monotonic() - began, found=found, alive=psutil.pid_exists(first),
        events=[event for _, event in client.get_events("daskbridge")],
        memory=[event for _, event in client.get_events("worker-restart-memory")],
    )
report(left=left())
"""


def reborn(scene, harm):
    scene.play(REBORN.format(harm=harm), helper=HELPER)
    told = scene.told()
    assert (told["found"], told["alive"]) == (8, False)
    assert told["seconds"] < AGAIN
    assert scene.told()["left"] == {}
    with scene.leaves_nothing(within=5):
        code, errors = scene.ends()
    assert code == 0, errors
    return told, [event["why"] for event in told["events"] if event["kind"] == "worker-restarted"]


def test_a_worker_that_is_killed_comes_again_with_the_code_and_the_reason_is_an_event(scene):
    _, reasons = reborn(scene, "os.kill(first, 9)")
    assert reasons == ["signal 9"]


def test_a_worker_that_is_killed_again_while_it_starts_comes_again_all_the_same(scene):
    harm = """
    os.kill(first, 9)
    while not (again := {*nodes()} - {first, scheduler_of(cluster).pid}):
        time.sleep(0.0005)
    for pid in again:
        os.kill(pid, 9)
    """
    _, reasons = reborn(scene, harm.strip())
    assert reasons[0] == "signal 9"


def test_a_worker_above_its_memory_limit_comes_again_and_its_event_is_dask_s(scene):
    told, reasons = reborn(scene, "client.submit(bytearray, 600_000_000)")
    assert len(told["memory"]) >= 1
    assert told["memory"][0]["rss"] > 0.95 * 300 * 2**20  # Dask's share at which a worker is ended
    assert "above its memory limit" in reasons[0]


LOST_IN = """
try:
    with transient(topology, code=False) as cluster:
        futures = busy(cluster)
        running(cluster)
        began = time.monotonic()
        {harm}
        futures[0].result()
except ClusterLost as error:
    report(error=str(error), seconds=time.monotonic() - began, left=left())
"""


def test_a_scheduler_that_is_killed_ends_the_body_and_the_rest(scene):
    scene.play(LOST_IN.format(harm="scheduler_of(cluster).kill()"))
    told = scene.told()
    assert "the scheduler process ended (signal 9)" in told["error"]
    assert told["seconds"] < LOST
    assert told["left"] == {}
    with scene.leaves_nothing(within=5):
        assert scene.ends()[0] == 0  # Dask logs what becomes of its connections


HOLDS = """
def holds():
    open("held", "w").close()
    ctypes.PyDLL(None).sleep(600)

def hold(cluster):
    future = cluster.client.submit(holds)
    while not list(Path(tempfile.gettempdir()).rglob("held")):
        time.sleep(0.01)
    return future

def stop(cluster):
    process = psutil.Process(cluster.client.submit(os.getpid).result())
    process.suspend()
    return process

def stop_scheduler(cluster):
    scheduler_of(cluster).suspend()
"""
DEAFNESS = {
    "in C code that holds the interpreter's lock": "busy = hold(cluster)",
    "that is stopped": "stop(cluster)",
    "that is stopped, and so is the scheduler": "stop(cluster); stop_scheduler(cluster)",
}


@pytest.mark.parametrize("how", DEAFNESS)
def test_a_block_ends_in_time_with_a_worker(scene, terms, how):
    terms(forward_logs="scheduler" in how)  # their last lines may take five seconds more
    scene.play(
        HOLDS
        + f"""
with transient(topology, code=False) as cluster:
    {DEAFNESS[how]}
    began = time.monotonic()
report(seconds=time.monotonic() - began, left=left())
"""
    )
    told = scene.told()
    assert told["seconds"] < (DEAF + 5 if "scheduler" in how else DEAF)
    assert told["left"] == {}
    with scene.leaves_nothing(within=5):
        code, errors = scene.ends()
    assert code == 0, errors


def test_a_driver_that_is_killed_ends_a_worker_that_holds_the_interpreter_s_lock(scene):
    scene.play(
        HOLDS
        + """
with transient(topology, code=False) as cluster:
    future = hold(cluster)
    report(stage="body")
    future.result()
"""
    )
    scene.told()
    with scene.leaves_nothing(within=DEAF):
        scene.process.kill()
        scene.process.wait()


def test_what_a_task_has_started_ends_with_its_worker_and_with_the_cluster(scene):
    scene.play(
        """
        import subprocess
        def start():
            import subprocess
            return subprocess.Popen(["sleep", "600"]).pid
        with transient(topology, code=False) as cluster:
            workers = cluster.client.scheduler_info(n_workers=-1)["workers"]
            futures = [cluster.client.submit(start, workers=[each], pure=False) for each in workers]
            pids = cluster.client.gather(futures)
            worker = psutil.Process(pids[0]).parent()
            worker.kill()
            until = time.monotonic() + 5
            while psutil.pid_exists(pids[0]) and time.monotonic() < until:
                time.sleep(0.01)
            report(first=psutil.pid_exists(pids[0]), second=psutil.pid_exists(pids[1]))
        report(left=left())
        """
    )
    assert scene.told() == {"first": False, "second": True}
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=5):
        code, errors = scene.ends()
    assert code == 0, errors
