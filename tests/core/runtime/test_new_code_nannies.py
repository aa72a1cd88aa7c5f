"""New code on clusters whose workers are started again by their nannies, or by nobody."""

from __future__ import annotations

import pytest
from tests.editing import told_by
from tests.nodes import dask_nodes, own_cache

LOCAL_CLUSTER = """
    from distributed import LocalCluster

    def in_child(_=0):
        import subprocess
        return subprocess.run(
            [sys.executable, "-c", "import helper; print(helper.V)"], capture_output=True, text=True
        ).stdout.strip()

    if __name__ == "__main__":
        keywords = {"n_workers": 0, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
        keywords["processes"] = PROCESSES
        with transient(
            Dask(workers=WorkerGroup(2)), provisioner=ClusterClass(LocalCluster, keywords), code=PROJECT
        ) as cluster:
            told = {"before": versions(cluster)}
            first = pids(cluster)
            kept = cluster.client.submit(pow, 2, 10)
            kept.result()
            edit(2)
            told["error"] = raised(cluster.sync, policy="restart")
            told["same"] = pids(cluster) == first
            told["kept"] = raised(kept.result)
            told["after"] = versions(cluster)
            if PROCESSES:
                told["child"] = sorted(cluster.client.run(in_child).values())
                cluster.scale(3)
                wait_for(lambda: len(workers(cluster)) == 3)
                told["late"] = versions(cluster)
                for version in (3, 4, 1):
                    edit(version)
                    cluster.sync(policy="restart")
                told["rollback"] = versions(cluster)
                told["leased"] = len(leased())
        told["leased after"] = leased()
        report(**told)
"""


def test_nannies_start_new_processes_that_have_the_new_code_from_their_start(tmp_path):
    cache = str(tmp_path / "cache")
    told = told_by(
        tmp_path, LOCAL_CLUSTER.replace("PROCESSES", "True"), DASK_DASKBRIDGE__CACHE_DIRECTORY=cache
    )
    assert told["before"] == [[1, 1], 1]
    assert told["error"].count("Receipt(") == 3
    assert told["same"] is False
    assert told["kept"][0] == "StaleCode"
    assert told["after"] == [[2, 2], 2]
    assert told["child"] == ["2", "2"]
    assert told["late"] == [[2, 2, 2], 2]
    assert told["rollback"] == [[1, 1, 1], 1]
    assert told["leased"] == 1
    assert told["leased after"] == []


def test_workers_without_a_nanny_are_left_alone(tmp_path):
    told = told_by(tmp_path, LOCAL_CLUSTER.replace("PROCESSES", "False"))
    kind, message, hint = told["error"]
    assert kind == "BundleError"
    assert "which have no nanny: 0, 1; nothing was changed" in message
    assert "nannies" in hint
    assert told["kept"] == "1024"
    assert told["after"] == [[1, 1], 1]


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """Run a scheduler and two workers with nannies, as a platform would; each has a cache of its own."""
    directory = tmp_path_factory.mktemp("platform")
    with dask_nodes(directory) as made:
        made.scheduler(**own_cache(directory / "scheduler" / "cache"))
        for name in ("one", "two"):
            made.worker(name, "--nanny", **own_cache(directory / name / "cache"))
        yield made.file, directory


PLATFORM = """
    from dataclasses import dataclass
    from daskbridge.cluster import AttachedCluster
    import subprocess

    @dataclass
    class Platform:
        name = "platform"
        capabilities = frozenset()
        adapts = {"images": "theirs"}
        def validate(self, topology): pass
        async def provision(self, topology, run):
            address = json.loads(Path(FILE).read_text())["address"]
            ref = ClusterRef("platform", "lab", address, exclusive=EXCLUSIVE, supervised=True)
            return AttachedCluster(ref)
        async def attach(self, ref): raise NotImplementedError

    topology = Dask(workers=WorkerGroup(2), min_workers=2)
    with transient(topology, provisioner=Platform(), code=PROJECT) as cluster:
        told, first = {"before": versions(cluster)}, pids(cluster)
        edit(2)
"""
BROKEN_NANNY = """
        staging = Path(ONE) / "cache" / "v1" / "staging"
        staging.rmdir()
        staging.touch()  # this host can't install
        told["broken"] = raised(cluster.sync, policy="restart")
        told["still"] = versions(cluster), pids(cluster) == first
        staging.unlink()
        staging.mkdir()
        told["mended"] = len(cluster.sync(policy="restart"))
        told["after"] = versions(cluster)
    report(**told)
"""
OTHER = """
import sys
from distributed import Client

with Client(sys.argv[1]) as client:
    theirs = client.submit(pow, 2, 10)
    print(theirs.result(), flush=True)
    input()
    print(theirs.result(), flush=True)
"""
BUSY = """
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, cluster.scheduler_address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert other.stdout.readline() == "1024\\n"
        told["busy"] = raised(cluster.sync, policy="restart")
        print(file=other.stdin, flush=True)
        told["theirs"] = other.communicate()[0], pids(cluster) == first
        told["alone"] = len(cluster.sync(policy="restart"))
        told["after"] = versions(cluster)
    report(**told)
"""


def on(platform, exclusive, then):
    file, directory = platform
    text = PLATFORM + then
    values = {
        "FILE": repr(str(file)),
        "EXCLUSIVE": str(exclusive),
        "OTHER": repr(OTHER),
        "ONE": repr(str(directory / "one")),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def test_a_nanny_that_can_not_get_the_code_is_noticed_while_the_old_code_runs(platform, tmp_path):
    told = told_by(tmp_path, on(platform, exclusive=True, then=BROKEN_NANNY))
    assert told["before"] == [[1, 1], 1]
    kind, message = told["broken"][:2]
    assert kind == "CodeNotDelivered"
    assert "all nodes still have" in message
    assert told["still"] == [[[1, 1], 1], True]
    assert told["mended"] == 3
    assert told["after"] == [[2, 2], 2]


def test_on_a_shared_cluster_nobody_else_loses_results(platform, tmp_path):
    told = told_by(tmp_path, on(platform, exclusive=False, then=BUSY))
    kind, message, hint = told["busy"]
    assert kind == "BundleError"
    assert message.endswith("others have tasks or results on this cluster: nothing was changed")
    assert "one of your own" in hint
    assert told["theirs"] == ["1024\n", True]
    assert told["alone"] == 3
    assert told["after"] == [[2, 2], 2]
