"""The process from which nodes are born is killed, stopped, or can't do what it should."""

from __future__ import annotations

import signal

import pytest

#: Seconds for the body to learn of it and for everything to be gone.
LOST = 10

LOST_IN = """
try:
    with transient(topology, code=False) as cluster:
        zygote = zygotes()[0]
        futures = busy(cluster)
        running(cluster)
        began = time.monotonic()
        zygote.send_signal({number})
        futures[0].result()
except ClusterLost as error:
    report(error=str(error), seconds=time.monotonic() - began, left=left())
with transient(topology, code=False) as cluster:
    report(again=cluster.client.submit(int, 4).result(), same=zygotes()[0] == zygote)
report(left=left())
"""


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "ended (signal 9)"), (signal.SIGTERM, "ends: SIGTERM")],
    ids=["SIGKILL", "SIGTERM"],
)
def test_its_end_is_that_of_its_clusters_and_the_next_cluster_has_another(scene, number, words):
    scene.play(LOST_IN.format(number=int(number)))
    told = scene.told()
    assert f"is lost: the process that supervises local clusters {words}" in told["error"]
    assert told["seconds"] < LOST
    assert told["left"] == {}
    assert scene.told() == {"again": 4, "same": False}
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=5):
        assert scene.ends()[0] == 0


def test_killed_while_it_starts_nodes_it_ends_the_start_with_the_reason(scene):
    scene.play(
        """
        from daskbridge.cluster._zygote import Zygote
        start = Zygote.start
        async def harmed(self, *arguments, **order):
            Zygote.start = start
            await start(self, *arguments, **order)
            self.kill()
        Zygote.start = harmed
        try:
            with transient(topology, code=False):
                report(entered=True)
        except ProvisioningError as error:
            report(error=str(error), left=left())
        with transient(topology, code=False) as cluster:
            report(again=cluster.client.submit(int, 4).result())
        """
    )
    told = scene.told()
    assert told["error"].splitlines()[0] == "the process that supervises local clusters ended (signal 9)"
    assert told["left"] == {}
    assert scene.told() == {"again": 4}
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_killed_while_it_is_idle_it_is_not_missed(scene):
    scene.play(
        """
        for number in range(2):
            with transient(topology, code=False) as cluster:
                report(found=cluster.client.submit(int, number).result())
            zygote = zygotes()[0]
            zygote.kill()
            psutil.wait_procs([zygote])
        report(left=left())
        """
    )
    assert [scene.told() for _ in range(3)] == [{"found": 0}, {"found": 1}, {"left": {}}]
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_on_a_machine_that_is_too_slow_the_start_ends_with_its_bound_and_leaves_nothing(scene):
    scene.play(
        """
        from dataclasses import replace
        from daskbridge.cluster import _local_cluster
        _local_cluster.GRACE, _local_cluster.NEWS = 1, 1
        def harm():
            while not zygotes():
                time.sleep(0.001)
            zygotes()[0].suspend()
        threading.Thread(target=harm).start()
        large = {"env": {"LARGE": "x" * 1_000_000}}  # its order does not find room in the socket
        topology = Dask(workers=WorkerGroup(2, **large), start_timeout=1)
        began = time.monotonic()
        try:
            with transient(topology, code=False):
                report(entered=True)
        except ProvisioningError as error:
            report(error=str(error), seconds=time.monotonic() - began, left=left(), zygotes=len(zygotes()))
        with transient(replace(topology, start_timeout=60), code=False) as cluster:
            report(again=cluster.client.submit(int, 4).result())
        """
    )
    told = scene.told()
    assert told["error"].startswith("the cluster was not ready within start_timeout=1 s; step 'provision'")
    assert told["seconds"] < 1 + 2 + 3
    assert (told["left"], told["zygotes"]) == ({}, 0)
    assert scene.told() == {"again": 4}
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_stopped_while_the_body_runs_it_is_killed_in_the_end_with_all_nodes(scene, terms):
    scene.play(
        """
        with transient(topology, code=False) as cluster:
            zygotes()[0].suspend()
            began = time.monotonic()
        report(seconds=time.monotonic() - began, left=left())
        """
    )
    told = scene.told()
    assert told["seconds"] < 13
    assert told["left"] == {}
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_one_that_can_t_be_started_is_said_at_once(scene):
    scene.play(
        """
        sys.executable = "/no/such/python"
        began = time.monotonic()
        try:
            with transient(topology, code=False):
                report(entered=True)
        except ProvisioningError as error:
            report(error=str(error), seconds=time.monotonic() - began, left=left())
        """
    )
    told = scene.told()
    assert "could not be started" in told["error"]
    assert "/no/such/python" in told["error"]
    assert told["seconds"] < 8
    assert told["left"] == {}
    with scene.leaves_nothing(within=8):
        assert scene.ends() == (0, "")


def test_an_order_that_was_given_up_halfway_does_not_garble_the_next(scene):
    """The start of a large cluster is cancelled while its order is written; a small one runs meanwhile."""
    scene.play(
        """
        large = Dask(workers=WorkerGroup(1, env={"LARGE": "x" * 3_000_000}))
        async def open(topology):
            async with transient(topology, code=False) as cluster:
                await asyncio.sleep(600)
        async def main():
            async with transient(topology, code=False) as cluster:
                for _ in range(3):
                    zygotes()[0].suspend()
                    task = asyncio.create_task(open(large))
                    await asyncio.sleep(0.5)
                    task.cancel()
                    zygotes()[0].resume()
                    await asyncio.wait([task])
                report(found=await cluster.client.submit(int, 4), cancelled=task.cancelled())
        asyncio.run(main())
        report(left=left())
        """
    )
    assert scene.told() == {"found": 4, "cancelled": True}
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=8):
        assert scene.ends() == (0, "")


def test_a_process_that_stays_warm_for_no_time_serves_each_cluster_and_ends_with_it(scene, terms):
    terms(local_warm=0)
    scene.play(
        """
        for number in range(2):
            with transient(topology, code=False) as cluster:
                report(found=cluster.client.submit(int, number).result())
            began = time.monotonic()
            while everything():
                time.sleep(0.01)
            report(seconds=time.monotonic() - began)
        """
    )
    for number in range(2):
        assert scene.told() == {"found": number}
        assert scene.told()["seconds"] < 10
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_asking_twice_for_the_end_still_waits_for_it(scene):
    scene.play(
        """
        from daskbridge.runtime import _engine
        disconnect = _engine.Engine._disconnect
        async def again(self):
            cluster.request_close()  # the run closes, the nodes do not yet
            await disconnect(self)
        _engine.Engine._disconnect = again
        with transient(topology, code=False) as cluster:
            busy(cluster)
        report(left=left())
        """
    )
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=5):
        assert scene.ends()[0] == 0
