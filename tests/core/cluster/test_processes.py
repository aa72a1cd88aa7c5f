"""Provisioners whose nodes are started by commands: what the base does for all of them."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import dask.config
import psutil
import pytest

from daskbridge import Dask, Scheduler, WorkerGroup, transient
from daskbridge.cluster import ProcessProvisioner
from daskbridge.errors import ClusterLost, ProvisioningError, RunCancelled, TopologyError

ONE = Dask(workers=WorkerGroup(threads=1))


class Commands(ProcessProvisioner):
    """Start nodes by what ``commands`` has for them; by default as the base does."""

    name = "commands"
    options: ClassVar = {"level": int}

    def __init__(self, **commands):
        self.commands = commands

    def command(self, node, topology):
        return self.commands.get(node.role) or super().command(node, topology)


def children():
    """Return the processes of clusters that this one started, but for local ones' warm process."""
    found = psutil.Process().children(recursive=True)
    return [child for child in found if any("distributed.cli" in word for word in child.cmdline())]


@pytest.fixture(scope="module")
def seen():
    """Look at one cluster with everything that a topology can say."""
    topology = Dask(
        scheduler=Scheduler(env={"ROLE": "first"}),
        workers=WorkerGroup(2, threads=1, env={"ROLE": "s3cret-value"}, resources={"memory": "512Mi"}),
        worker_groups={"big": WorkerGroup(threads=3, abstract_resources={"GPU": 2})},
        config={"distributed": {"admin": {"tick": {"interval": "30ms"}}}},
        min_workers=3,
    )
    found = {}
    with transient(topology, provisioner=Commands(), code=False) as cluster:
        client = cluster.client
        workers = client.scheduler_info(n_workers=-1)["workers"]
        found["workers"] = {each["name"]: each for each in workers.values()}
        found["address"] = cluster.scheduler_address
        found["env"] = {*client.run(os.getenv, "ROLE").values(), client.run_on_scheduler(os.getenv, "ROLE")}
        found["paths"] = {*map(tuple, client.run(lambda: sys.path).values())}
        found["config"] = {*client.run(dask.config.get, "distributed.admin.tick.interval").values()}
        found["words"] = [" ".join(child.cmdline()) for child in children()]
        found["logs"] = cluster.logs()
        found["plugins"] = client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.plugins])
        found["pids"] = [child.pid for child in children()]
    found["left"] = children()
    return found


def test_the_nodes_are_what_the_topology_says(seen):
    workers = seen["workers"]
    assert {name: each["nthreads"] for name, each in workers.items()} == {
        "default-0": 1,
        "default-1": 1,
        "big-0": 3,
    }
    assert workers["default-0"]["memory_limit"] == 512 * 2**20
    assert workers["big-0"]["resources"] == {"GPU": 2.0}
    assert seen["config"] == {"30ms"}
    assert seen["env"] == {"first", "s3cret-value", None}


def test_nodes_speak_tls_on_this_machine_only(seen):
    assert seen["address"].startswith("tls://127.0.0.1:")
    assert all(each["nanny"].startswith("tls://127.0.0.1:") for each in seen["workers"].values())


def test_no_secret_is_in_an_argument_or_a_log(seen):
    shown = [*seen["words"], *seen["logs"].values()]
    assert shown
    assert not [text for text in shown if "PRIVATE KEY" in text or "s3cret" in text or "INHERIT" in text]


def test_nothing_of_the_driver_s_path_is_on_a_node_s(seen):
    assert not [path for path in seen["paths"] for entry in path if entry in {"", str(Path.cwd())}]


def test_the_last_lines_of_every_node_are_there(seen):
    assert set(seen["logs"]) == {"scheduler", *seen["workers"]}
    assert "Registered to" in seen["logs"]["big-0"]


def test_nothing_is_left(seen, gone):
    assert seen["left"] == []
    assert gone(seen["pids"])


def test_workers_come_and_go(eventually, names):
    with transient(ONE, provisioner=Commands(), code=False) as cluster:
        cluster.scale(3)
        assert eventually(lambda: names(cluster), lambda found: len(found) == 3, timeout=60)
        cluster.scale(1)
        assert names(cluster) == {"default-0"}
        assert eventually(lambda: len(children()), lambda number: number <= 3)


def test_a_group_that_is_not_there_is_named():
    with transient(ONE, provisioner=Commands(), code=False) as cluster:
        with pytest.raises(ProvisioningError, match="no worker group 'large'; there are: default"):
            cluster.scale(2, "large")


def test_without_tls_the_lease_is_there_all_the_same():
    with dask.config.set({"daskbridge.tls": False}):
        with transient(ONE, provisioner=Commands(), code=False) as cluster:
            assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
            assert "Scheduler at: tcp://" in cluster.logs()["scheduler"]


def test_a_preload_of_the_user_s_is_run_first(tmp_path):
    (tmp_path / "mine.py").write_text("def dask_setup(scheduler): print('mine', flush=True)")
    config = {"distributed": {"scheduler": {"preload": [str(tmp_path / "mine.py")]}}}
    with transient(Dask(config=config), provisioner=Commands(), code=False) as cluster:
        lines = cluster.logs()["scheduler"].splitlines()
    assert "mine" in lines


def test_a_preload_of_the_environment_s_is_run_first(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def dask_setup(scheduler): print('mine', flush=True)")
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__PRELOAD", str(tmp_path / "mine.py"))
    with dask.config.set({"distributed.scheduler.preload": str(tmp_path / "mine.py")}):
        with transient(ONE, provisioner=Commands(), code=False) as cluster:
            lines = cluster.logs()["scheduler"].splitlines()
    assert "mine" in lines
    assert [line for line in lines if line.startswith("Scheduler at:")]


def test_options_are_checked_and_commands_are_made_at_definition():
    class Strict(Commands):
        def command(self, node, topology):
            raise TopologyError(f"no command for {node.name} of {len(topology.groups)} group")

    with pytest.raises(TopologyError, match="unknown option 'levl'.*did you mean 'level'"):
        transient(Dask(provisioner_options={"commands": {"levl": 1}}), provisioner=Commands())
    with pytest.raises(TopologyError, match="no command for scheduler"):
        transient(ONE, provisioner=Strict())
    for wrong in ("srun python", ["nice", "-n", 5]):
        with pytest.raises(TopologyError, match="default-0 would be started by .*; expected a list of words"):
            transient(ONE, provisioner=Commands(worker=wrong))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sh", "-c", "echo no such partition; exit 3"], "scheduler ended with exit code 3:\nno such partit"),
        (["sh", "-c", "kill -9 $$"], "scheduler ended by SIGKILL"),
        (["no-such-launcher"], "scheduler could not be started by 'no-such-launcher': .*No such file"),
        (["a\0b"], "scheduler could not be started by .*null"),
    ],
    ids=["exit code", "signal", "not there", "no command"],
)
def test_a_scheduler_that_does_not_come_says_why(command, words):
    with pytest.raises(ProvisioningError, match=words):
        with transient(ONE, provisioner=Commands(scheduler=command), code=False):
            pass
    assert children() == []


def test_workers_that_do_not_come_say_why():
    worker = ["sh", "-c", "echo no quota; exit 4"]
    with pytest.raises(ProvisioningError, match="no worker is left: default-0 ended with exit code 4:\nno q"):
        with transient(ONE, provisioner=Commands(worker=worker), code=False):
            pass
    assert children() == []


def test_the_end_of_one_worker_is_a_warning_and_that_of_the_last_the_end(caplog, eventually):
    def body(client):
        slow = client.submit(time.sleep, 60)
        by_name = {" ".join(child.cmdline()).partition("--name ")[2][:9]: child for child in children()}
        by_name["default-0"].kill()
        assert eventually(lambda: "default-0 ended by SIGKILL" in caplog.text)
        by_name["default-1"].kill()
        slow.result(timeout=60)

    with pytest.raises(ClusterLost, match="no worker is left: default-1 ended by SIGKILL"):
        with transient(Dask(workers=WorkerGroup(2), min_workers=2), provisioner=Commands(), code=False) as c:
            body(c.client)
    assert children() == []


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_a_start_that_is_cancelled_leaves_nothing_not_even_what_ignores_sigterm(role, eventually):
    deaf = ["sh", "-c", "trap '' TERM; sleep 600 & wait; sleep 600"]
    cancel = threading.Event()

    def sleeping():
        return [each for each in psutil.Process().children(recursive=True) if "sleep" in each.cmdline()[:1]]

    threading.Thread(target=lambda: eventually(sleeping) and cancel.set()).start()
    with pytest.raises(RunCancelled):
        with transient(ONE, provisioner=Commands(**{role: deaf}), code=False, cancel=cancel):
            pass
    assert sleeping() == []
    assert children() == []


def test_a_cluster_whose_driver_was_killed_as_it_started_ends_itself(drive, gone):
    driver = drive(
        """
        import asyncio
        from daskbridge.cluster import ProcessProvisioner

        class Mine(ProcessProvisioner):
            name = "mine"
            async def provision(self, topology, run):
                handle = await super().provision(topology, run)
                report(pids=everything())
                await asyncio.Event().wait()

        os.environ["DASK_DASKBRIDGE__LEASE_START"] = "1"
        with transient(Dask(), provisioner=Mine(), code=False):
            pass
        """,
        __init__="",
    )
    pids = next(driver.reports())["pids"]
    driver.process.kill()
    assert gone(pids, timeout=30)
