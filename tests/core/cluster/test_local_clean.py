"""Nodes have nothing of the driver's process: neither code nor files, signals, threads or random numbers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from daskbridge import Dask, Scheduler, WorkerGroup, transient


def look():
    """Return a function that tells what a process has; nested, so that it travels by value."""

    def found():
        import random
        import uuid
        from pathlib import Path

        status = dict(
            line.split(":\t", 1)
            for line in Path("/proc/self/status").read_text().splitlines()
            if ":\t" in line
        )
        files = {}
        for file in Path("/proc/self/fd").iterdir():
            try:
                files[int(file.name)] = (os.fspath(file.readlink()), os.get_inheritable(int(file.name)))
            except OSError:
                continue  # that of listing them
        numpy = sys.modules.get("numpy")
        return {
            "path": sys.path,
            "main": sorted(vars(sys.modules["__main__"])),
            "directory": os.fspath(Path.cwd()),
            "there": [each.name for each in Path().iterdir()],
            "files": files,
            "blocked": int(status["SigBlk"], 16),
            "ignored": int(status["SigIgn"], 16),
            "session": (os.getsid(0), os.getpid()),
            "seeds": (random.getrandbits(64), str(uuid.uuid4()), numpy and float(numpy.random.random())),
            "hash": hash("a text"),
            "stdin": os.fspath(Path("/proc/self/fd/0").readlink()),
        }

    return found


@pytest.fixture(scope="module")
def nodes(flavour, by_name, tmp_path_factory):
    """Look at nodes of a driver that has much that should not get there; it has another cluster, too."""
    secret = os.open(tmp_path_factory.mktemp("drivers") / "secret", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(secret, True)  # noqa: FBT003 -- its signature
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
    sys.modules["__main__"].of_the_driver = True
    # one with an environment of its own, so that a process starts that has inherited all this
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_DASKBRIDGE_TEST", flavour)
        topology = Dask(workers=WorkerGroup(2), min_workers=2)
        with transient(Dask(), code=False) as other, transient(topology, code=False) as cluster:
            found = by_name(cluster, look())
            found["scheduler"] = cluster.client.run_on_scheduler(look())
            other.scale(2)
            other.client.wait_for_workers(2, timeout=20)
            found["other"] = by_name(other, look())["default-1"]
            found["supervisor"] = cluster.client.run_on_scheduler(os.getppid)
            assert found["supervisor"] == other.client.run_on_scheduler(os.getppid)
            found["threads"] = len(list(Path(f"/proc/{found['supervisor']}/task").iterdir()))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGUSR1, before)
    os.close(secret)
    del sys.modules["__main__"].of_the_driver
    return found


ALL = pytest.mark.parametrize("name", ["scheduler", "default-0", "default-1", "other"])


@ALL
def test_nodes_have_neither_the_driver_s_path_nor_its_main(nodes, name):
    assert "" not in nodes[name]["path"]
    assert os.fspath(Path.cwd()) not in nodes[name]["path"]
    assert "of_the_driver" not in nodes[name]["main"]


@ALL
def test_nodes_start_in_an_empty_directory_and_read_nothing(nodes, name):
    place = name if name != "other" else "default-1"
    assert Path(nodes[name]["directory"]).name == place
    assert nodes[name]["there"] == []
    assert nodes[name]["stdin"] == os.devnull


@ALL
def test_nodes_have_their_own_files_and_no_other(nodes, name):
    kinds = sorted(_kind(target) for number, (target, _) in nodes[name]["files"].items() if number > 2)
    sockets, others = kinds.count("socket"), [kind for kind in kinds if kind != "socket"]
    lock = others.count("lock")  # of the worker's or scheduler's directory
    assert others == sorted(["eventpoll"] + ["lock"] * lock + ["pipe"])
    assert lock <= 2
    # orders, the loop's own two, two that listen, and connections of Dask
    assert 5 <= sockets <= 20
    assert all(kept == (number <= 2) for number, (_, kept) in nodes[name]["files"].items())
    assert {nodes[name]["files"][number][0] for number in (1, 2)} == {_log(nodes[name])}


def _kind(target):
    if target.startswith(("socket:", "pipe:")):
        return target.partition(":")[0]
    if target.startswith("anon_inode:"):
        return target.partition(":")[2].strip("[]")
    return "lock" if target.endswith(".dirlock") else target


def _log(found):
    return f"{found['directory']}.log"


@ALL
def test_signals_are_at_their_defaults(nodes, name):
    of_python = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    # the C library keeps some for itself, which its own programs may have ignored
    settable = sum(1 << (number - 1) for number in signal.valid_signals())
    assert (nodes[name]["blocked"], nodes[name]["ignored"] & settable) == (0, of_python)


@ALL
def test_each_node_is_a_session_of_its_own(nodes, name):
    session, pid = nodes[name]["session"]
    assert session == pid


def test_random_numbers_differ_and_hashes_are_the_same(nodes):
    found = [nodes[name] for name in ("scheduler", "default-0", "default-1", "other")]
    for numbers in zip(*(each["seeds"] for each in found), strict=True):
        assert len({*numbers}) == len(numbers) or {*numbers} == {None}
    assert len({each["hash"] for each in found}) == 1


def test_the_supervisor_has_one_thread(nodes):
    assert nodes["threads"] == 1


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def threads(cluster):
    def found():
        return {name: os.environ.get(name) for name in THREADS}

    names = THREADS
    return [cluster.client.run_on_scheduler(found), *cluster.client.run(found).values()] if names else []


@pytest.mark.parametrize(
    ("environ", "config", "expected"),
    [
        ({}, {}, ("1", "1", "1")),
        ({"OMP_NUM_THREADS": "3"}, {}, ("3", "1", "1")),
        ({}, {"pre-spawn-environ": {"MKL_NUM_THREADS": 2}}, ("1", "2", "1")),
        ({}, {"environ": {"OPENBLAS_NUM_THREADS": 1, "OMP_NUM_THREADS": 4}}, ("4", "1", "1")),
        ({"OMP_NUM_THREADS": "3"}, {"environ": {"OMP_NUM_THREADS": 4}}, ("3", "1", "1")),
    ],
    ids=["nobody says", "the environment", "pre-spawn-environ", "environ", "the environment wins"],
)
def test_a_node_s_libraries_have_one_thread_unless_somebody_says(
    flavour, monkeypatch, environ, config, expected
):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    topology = Dask(config={"distributed": {"nanny": config}} if config else {})
    with transient(topology, code=False) as cluster:
        found = threads(cluster)
    assert found == [dict(zip(THREADS, expected, strict=True))] * 2


def test_an_environment_that_counts_from_the_start_makes_a_fresh_interpreter(flavour):
    topology = Dask(
        scheduler=Scheduler(env={"SCHEDULERS": "own"}),
        worker_groups={"fresh": WorkerGroup(env={"PYTHONOPTIMIZE": "1", "OMP_NUM_THREADS": "2"})},
        min_workers=2,
    )

    def found():
        from pathlib import Path

        arguments = Path("/proc/self/cmdline").read_text().split("\0")
        return sys.flags.optimize, os.environ["OMP_NUM_THREADS"], "local_zygote" in " ".join(arguments)

    with transient(topology, code=False) as cluster:
        workers = {
            worker["name"]: worker["id"]
            for worker in cluster.client.scheduler_info(n_workers=-1)["workers"].values()
        }
        answers = sorted(cluster.client.run(found).values())
        scheduler = cluster.client.run_on_scheduler(found)
    assert {*workers} == {"default-0", "fresh-0"}
    assert answers == [(0, "1", flavour == "fork"), (1, "2", False)]
    assert scheduler == (0, "1", flavour == "fork")
