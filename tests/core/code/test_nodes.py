"""Real scheduler and worker processes that share neither path, directory nor packages with the driver."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from distributed import Client
from tests.environments import driver_without
from tests.nodes import dask_nodes, own_cache

from daskbridge.code import CodeSpec, Root, build_bundle, receipts, sync_code

PROJECT = {
    "src/shipped/__init__.py": "",
    "src/shipped/shapes.py": """
        import os
        from shipped.units import UNIT

        class Base:
            def grow(self, by):
                return (self.size + by) * UNIT

        class Square(Base):
            def __init__(self, size):
                self.size = size

        def grown(size):
            return Square(size).grow(1), os.getpid()

        def here(_):
            return __file__
    """,
    "src/shipped/units.py": "UNIT = 10",
}
PATIENCE = 60


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Make an environment that has what the driver has, but no daskbridge."""
    return driver_without(tmp_path_factory.mktemp("nodes") / "env", "daskbridge")


@pytest.fixture(scope="module")
def cluster(python, tmp_path_factory):
    root = tmp_path_factory.mktemp("cluster")
    bundle = built(root / "project", root)
    (root / "project").rename(root / "hidden")
    with dask_nodes(root / "nodes", python) as nodes, asyncio.Runner() as runner:
        made = Cluster(runner, nodes, root, bundle)
        yield runner.run(made.start())
        runner.run(made.client.close())


def built(project, directory):
    """Pack the project, and import it here as a driver would, so that its functions go by reference."""
    for path, text in PROJECT.items():
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return build_bundle(CodeSpec([Root(project, ["src"])]), directory=directory)


class Cluster:
    """Hold the shared cluster, its client and what the first sync answered."""

    def __init__(self, runner, nodes, root, bundle):
        self.run, self.nodes, self.root, self.bundle = runner.run, nodes, root, bundle

    async def start(self):
        self.nodes.scheduler("--no-dashboard", **own_cache(self.root / "s"))
        self.worker("early", "--nanny", host="one")
        self.worker("neighbour", host="one")
        self.client = await Client(
            self.nodes.address, asynchronous=True, set_as_default=False, timeout=PATIENCE
        )
        await self.client.wait_for_workers(2, timeout=PATIENCE)
        self.first = await sync_code(self.client, self.bundle)
        return self

    def worker(self, name, *arguments, host):
        """Start a worker on a host, which is a cache: workers of one host share it."""
        return self.nodes.worker(name, *arguments, **own_cache(self.root / host))

    async def receipt(self, name, other_than=None):
        """Wait for the receipt of a worker."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for receipt in await receipts(self.client):
                    if receipt.name == name and receipt.pid != other_than:
                        return receipt
                await asyncio.sleep(0.05)

    async def call(self, function, *arguments, on):
        return await self.client.submit(function, *arguments, workers=[on], pure=False)


@pytest.fixture(scope="module")
def shapes(cluster):
    """Import the module as the driver that packed it did, from where it no longer lies for nodes."""
    sys.path.insert(0, str(cluster.root / "hidden" / "src"))
    try:
        from shipped import shapes
    finally:
        del sys.path[0]
    yield shapes
    for name in [name for name in sys.modules if name.partition(".")[0] == "shipped"]:
        del sys.modules[name]


def test_every_node_reports_the_digest_and_each_host_fetched_it_once(cluster):
    assert {receipt.digest for receipt in cluster.first} == {cluster.bundle.digest}
    assert [receipt.name for receipt in cluster.first] == ["scheduler", "early", "neighbour"]
    assert cluster.first[0].source == "driver"
    # The nanny of the early worker, the worker and its neighbour share a host.
    assert {receipt.source for receipt in cluster.first[1:]} == {"cache"}
    assert len({receipt.pid for receipt in cluster.first}) == 3


def test_functions_and_inherited_methods_go_by_reference(cluster, shapes):
    value, pid = cluster.run(cluster.call(shapes.grown, 2, on="early"))
    assert (value, pid) == (30, cluster.first[1].pid)


def test_nodes_have_no_daskbridge_and_import_from_their_own_cache(cluster, shapes):
    def found():
        import importlib.util

        return importlib.util.find_spec("daskbridge")

    assert set(cluster.run(cluster.client.run(found)).values()) == {None}
    file = cluster.run(cluster.call(shapes.here, 0, on="early"))
    assert Path(file).is_relative_to(cluster.root / "one")
    assert [entry.name for entry in (cluster.root / "nodes").glob("*/*")] == []


def test_the_scheduler_imports_the_code(cluster, shapes):
    def module_of(square):
        return type(square).__module__, square.grow(0)

    assert cluster.run(cluster.client.run_on_scheduler(module_of, shapes.Square(2))) == ("shipped.shapes", 20)


def test_a_late_worker_on_another_host_pulls_from_the_scheduler_before_it_serves(cluster, shapes):
    process = cluster.worker("late", host="two")
    receipt = cluster.run(cluster.receipt("late"))
    assert (receipt.source, receipt.digest, receipt.pid) == ("scheduler", cluster.bundle.digest, process.pid)
    assert cluster.run(cluster.call(shapes.grown, 2, on="late"))[0] == 30


def test_a_restarted_worker_has_the_code_and_so_have_its_subprocesses(cluster, shapes):
    def in_a_subprocess():
        import sys

        program = "import shipped.units as u; print(u.UNIT)"
        return subprocess.check_output([sys.executable, "-c", program], text=True)

    before = cluster.run(cluster.receipt("early"))
    os.kill(before.pid, signal.SIGKILL)
    after = cluster.run(cluster.receipt("early", other_than=before.pid))
    assert after.source == "cache"
    assert cluster.run(cluster.call(shapes.grown, 2, on="early")) == (30, after.pid)
    assert cluster.run(cluster.call(in_a_subprocess, on="early")) == "10\n"


@pytest.mark.parametrize("nanny", ["--nanny", "--no-nanny"])
def test_a_late_worker_that_can_not_get_the_code_ends_without_serving(cluster, shapes, nanny):
    name = f"unfit{nanny}"
    file = cluster.root / "not-a-directory"
    file.touch()
    process = cluster.worker(name, nanny, host=file.name)
    work = cluster.client.submit(shapes.grown, 2, workers=[name], allow_other_workers=True, pure=False)
    process.wait(PATIENCE)
    assert cluster.run(result(work))[0] == 30
    events = [event for _, event in cluster.run(cluster.client.get_events("daskbridge"))]
    [event] = [event for event in events if event.get("name") == name]
    assert event["kind"] == "code-failed"
    assert "not-a-directory" in event["error"]


async def result(future):
    return await future
