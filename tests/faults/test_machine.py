"""The machine has no room, no file descriptors, no free port, or forgets nothing."""

from __future__ import annotations

import socket

import pytest

CODE = {"helper": "def double(x):\n    return 2 * x\n"}
REFUSED = """
import helper
began = time.monotonic()
try:
    with transient(topology) as cluster:
        report(entered=True)
except DaskbridgeError as error:
    report(kind=type(error).__name__, error=str(error), seconds=time.monotonic() - began, left=left())
"""


@pytest.mark.parametrize(
    ("place", "words"),
    [("file/below", "NotADirectoryError"), ("/proc/below", "FileNotFoundError")],
    ids=["below a file", "where nothing can be made"],
)
def test_a_cache_directory_that_can_t_be_made_ends_the_start_with_its_name(
    scene, terms, tmp_path, place, words
):
    (tmp_path / "file").write_text("")
    place = str(tmp_path / place)
    terms(cache_directory=place)
    scene.play(REFUSED, **CODE)
    told = scene.told()
    assert place in told["error"], told
    assert words in told["error"] or "Not a directory" in told["error"] or "No such file" in told["error"]
    assert told["seconds"] < 15
    assert told["left"] == {}
    with scene.leaves_nothing(within=5):
        assert scene.ends()[0] == 0


def test_a_node_that_has_no_room_for_the_code_ends_the_start_and_nothing_of_it_is_left(
    scene, terms, tmp_path
):
    """What nodes write is limited to 64 KiB a file, as the last free bytes of a disk are."""
    terms(cache_directory=str(tmp_path / "cache"))
    scene.play(
        """
        import resource
        with transient(topology, code=False):
            pass
        resource.prlimit(zygotes()[0].pid, resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
        (PROJECT / "data.bin").write_bytes(os.urandom(1_000_000))
        """
        + REFUSED.replace("\n", "\n        "),
        **CODE,
    )
    told = scene.told()
    assert "File too large" in told["error"], told
    assert told["seconds"] < 15
    assert told["left"] == {}
    assert list((tmp_path / "cache").rglob("data.bin")) == []
    with scene.leaves_nothing(within=5):
        assert scene.ends()[0] == 0


def test_without_room_for_its_directory_a_cluster_does_not_start_and_others_go_on(scene):
    scene.play(
        """
        from daskbridge.cluster import _local_cluster
        token = _local_cluster.token_hex
        with transient(topology, code=False) as other:
            _local_cluster.token_hex = lambda _: "no/such/directory"
            try:
                with transient(topology, code=False):
                    report(entered=True)
            except ProvisioningError as error:
                report(error=str(error), still=other.client.submit(int, 4).result())
        report(left=left())
        """
    )
    told = scene.told()
    assert "the cluster could not be started: [Errno 2]" in told["error"]
    assert told["still"] == 4
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_without_descriptors_for_another_node_workers_come_later_and_no_cluster_ends(scene):
    scene.play(
        """
        import resource
        with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
            zygote = zygotes()[0]
            limits = resource.prlimit(zygote.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(zygote.pid, resource.RLIMIT_NOFILE, (zygote.num_fds(), limits[1]))
            cluster.scale(2)
            found = cluster.client.submit(int, 4).result()
            resource.prlimit(zygote.pid, resource.RLIMIT_NOFILE, limits)
            cluster.client.wait_for_workers(2, timeout=15)
            report(found=found)
        report(left=left())
        """
    )
    assert scene.told() == {"found": 4}
    assert scene.told() == {"left": {}}
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")


def test_a_port_that_somebody_has_is_no_obstacle(scene):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        except OSError:
            pass  # somebody has it already
        scene.play(
            """
            with transient(topology, code=False) as cluster:
                report(port=int(cluster.dashboard_link.partition("://")[2].partition(":")[2].partition("/")[0]))
            report(left=left())
            """
        )
        assert scene.told()["port"] != 8787
        assert scene.told() == {"left": {}}
        with scene.leaves_nothing(within=5):
            assert scene.ends() == (0, "")


#: What twelve clusters may leave in the driver and in the process that stays warm.
DESCRIPTORS, THREADS, MEMORY = 0, 0, 8 * 2**20


def test_twelve_clusters_leave_no_more_than_two(scene):
    """How many can follow each other is measured in ``benchmarks/many_clusters.py``."""
    scene.play(
        """
        def look():
            gc.collect()
            return [(each.num_fds(), each.num_threads(), each.memory_info().rss)
                    for each in (psutil.Process(), *zygotes())]
        began = time.monotonic()
        for number in range(12):
            with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
                assert cluster.client.submit(int, number).result() == number
            if number == 1:
                first = look()
        report(first=first, last=look(), seconds=time.monotonic() - began, left=left())
        """
    )
    told = scene.told()
    assert told["left"] == {}
    assert told["seconds"] < 30
    assert len(told["first"]) == len(told["last"]) == 2
    for before, after in zip(told["first"], told["last"], strict=True):
        assert after[0] - before[0] <= DESCRIPTORS
        assert after[1] - before[1] <= THREADS
        assert after[2] - before[2] <= MEMORY
    with scene.leaves_nothing(within=5):
        assert scene.ends() == (0, "")
