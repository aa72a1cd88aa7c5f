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


class Host:
    """Start Dask processes in an empty directory, with a code cache of their own."""

    def __init__(self, python, root):
        self.python, self.root = python, root
        self.started = []

    def start(self, program, *arguments, host, cache=None):
        directory = self.root / host / "cwd"
        directory.mkdir(parents=True, exist_ok=True)
        hidden = ("PYTHON", "DASK_", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environment["DASK_DASKBRIDGE__CACHE_DIRECTORY"] = str(cache or self.root / host / "cache")
        command = [self.python, "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", *arguments]
        with (directory.parent / "log").open("ab") as log:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=directory,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.started.append(process)
        return process

    def close(self):
        # A worker under a nanny ends with it.
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def cluster(python, tmp_path_factory):
    root = tmp_path_factory.mktemp("cluster")
    bundle = built(root / "project", root)
    (root / "project").rename(root / "hidden")
    host = Host(python, root)
    try:
        with asyncio.Runner() as runner:
            made = Cluster(runner, host, bundle)
            yield runner.run(made.start())
            runner.run(made.client.close())
    finally:
        host.close()


def built(project, directory):
    """Pack the project, and import it here as a driver would, so that its functions go by reference."""
    for path, text in PROJECT.items():
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return build_bundle(CodeSpec([Root(project, ["src"])]), directory=directory)


class Cluster:
    """Hold the shared cluster, its client and what the first sync answered."""

    def __init__(self, runner, host, bundle):
        self.run, self.host, self.bundle = runner.run, host, bundle

    async def start(self):
        file = self.host.root / "scheduler.json"
        self.file = ("--scheduler-file", file)
        self.host.start(
            "dask_scheduler",
            "--port",
            0,
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
            *self.file,
            host="s",
        )
        self.worker("early", "--nanny", host="one")
        self.worker("neighbour", "--no-nanny", host="one")
        self.client = await Client(
            scheduler_file=str(file), asynchronous=True, set_as_default=False, timeout=PATIENCE
        )
        await self.client.wait_for_workers(2, timeout=PATIENCE)
        self.first = await sync_code(self.client, self.bundle)
        return self

    def worker(self, name, *arguments, host, **options):
        options_ = ("--nthreads", 1, "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--name", name)
        return self.host.start("dask_worker", *options_, *arguments, *self.file, host=host, **options)

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
    sys.path.insert(0, str(cluster.host.root / "hidden" / "src"))
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
    assert Path(file).is_relative_to(cluster.host.root / "one" / "cache")
    assert [entry.name for entry in cluster.host.root.glob("*/cwd/*")] == []


def test_the_scheduler_imports_the_code(cluster, shapes):
    def module_of(square):
        return type(square).__module__, square.grow(0)

    assert cluster.run(cluster.client.run_on_scheduler(module_of, shapes.Square(2))) == ("shipped.shapes", 20)


def test_a_late_worker_on_another_host_pulls_from_the_scheduler_before_it_serves(cluster, shapes):
    process = cluster.worker("late", "--no-nanny", host="two")
    receipt = cluster.run(cluster.receipt("late"))
    assert (receipt.source, receipt.digest, receipt.pid) == ("scheduler", cluster.bundle.digest, process.pid)
    assert cluster.run(cluster.call(shapes.grown, 2, on="late"))[0] == 30


def test_a_restarted_worker_has_the_code_and_so_have_its_subprocesses(cluster, shapes):
    def in_a_subprocess():
        import subprocess
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
    file = cluster.host.root / "not-a-directory"
    file.touch()
    process = cluster.worker(name, nanny, host=name, cache=file)
    work = cluster.client.submit(shapes.grown, 2, workers=[name], allow_other_workers=True, pure=False)
    process.wait(PATIENCE)
    assert cluster.run(result(work))[0] == 30
    events = [event for _, event in cluster.run(cluster.client.get_events("daskbridge"))]
    [event] = [event for event in events if event.get("name") == name]
    assert event["kind"] == "code-failed"
    assert "not-a-directory" in event["error"]


async def result(future):
    return await future
