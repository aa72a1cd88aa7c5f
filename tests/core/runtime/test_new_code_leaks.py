"""Twenty syncs in a row on one local cluster leave nothing behind, and two at a time follow each other."""

from __future__ import annotations

import pytest
from tests.editing import told_by

TWENTY = """
    import gc, tempfile

    (PROJECT.with_name("temporary")).mkdir()
    tempfile.tempdir = str(PROJECT.with_name("temporary"))
    CACHE = PROJECT.with_name("cache")

    def descriptors(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    def on_scheduler(dask_scheduler):
        modules = [name for name, module in sys.modules.items() if name.startswith("helper")]
        return {
            "plugins": sorted(dask_scheduler.plugins),
            "handlers": sorted(dask_scheduler.handlers),
            "path": len(sys.path),
            "modules": modules,
        }

    with transient(Dask(workers=WorkerGroup(2)), code=PROJECT) as cluster:
        [supervisor] = [each.parent() for each in [psutil.Process(pids(cluster)[0])]]
        scheduler, directory = scheduler_of(cluster), Path(tempfile.tempdir)

        def look():
            versions(cluster)
            gc.collect()
            left = [path.name for path in directory.rglob("*")]
            return {
                "driver": descriptors("self"),
                "supervisor": descriptors(supervisor.pid),
                "scheduler": descriptors(scheduler.pid),
                "threads": sorted(thread.name for thread in threading.enumerate()),
                "nodes": len(nodes()),
                "staging": len(os.listdir(CACHE / "v1" / "staging")),
                "leased": len(leased()),
                "bundles": len([name for name in left if "bundle" in name]),
                "scratch": len([name for name in left if name.startswith("worker-")]),
                "memory": supervisor.memory_info().rss,
                "scheduler memory": scheduler.memory_info().rss,
            } | cluster.client.run_on_scheduler(on_scheduler)

        def sync(version):
            edit(version)
            cluster.sync(policy="restart")
            assert versions(cluster) == ([version] * 2, version)

        for version in (2, 3, 4):
            sync(version)
        wait_for(lambda: len(nodes()) == 3)
        first = look()
        for version in range(5, 25):
            sync(version)
        wait_for(lambda: len(nodes()) == 3)
        report(first=first, last=look(), steps=len(cluster.timeline))
    report(left=nodes(), leased=leased(), temporary=os.listdir(tempfile.tempdir))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    directory = tmp_path_factory.mktemp("twenty")
    return told_by(directory, TWENTY, DASK_DASKBRIDGE__CACHE_DIRECTORY=str(directory / "cache"))


@pytest.mark.parametrize(
    "what",
    [
        *("supervisor", "nodes", "staging", "leased", "bundles", "scratch", "threads"),
        *("plugins", "handlers", "path", "modules"),
    ],
)
def test_twenty_syncs_leave_nothing(told, what):
    assert told["last"][what] == told["first"][what]


@pytest.mark.parametrize("process", ["driver", "scheduler"])
def test_no_descriptor_stays_open(told, process):
    assert told["last"][process] <= told["first"][process] + 2  # a connection more or less


def test_memory_stays_flat(told):
    for process in ("memory", "scheduler memory"):
        assert told["last"][process] - told["first"][process] < 10 << 20


def test_after_the_block_nothing_is_left(told):
    assert (told["left"], told["leased"], told["temporary"]) == ([], [], [])


AT_ONCE = """
    with transient(Dask(workers=WorkerGroup(2))) as cluster:
        edit(2)
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(raised(lambda: len(cluster.sync(policy="restart")))))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        after = versions(cluster)
    report(found=found, after=after)

    began = threading.Event()

    def late():
        began.set()
        try:
            ended = [raised(cluster.sync, policy="restart")]
        finally:
            report(ended=ended[0] if isinstance(ended[0], list) else "done")

    with transient(Dask(workers=WorkerGroup(2))) as cluster:
        edit(3)
        thread = threading.Thread(target=late)
        thread.start()
        began.wait()
        time.sleep(DELAY)
        began = time.monotonic()
    thread.join(10)
    report(closed=time.monotonic() - began, left=nodes(), alive=thread.is_alive())
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.08])
def test_syncs_follow_each_other_and_end_with_the_block(tmp_path, delay):
    told = told_by(tmp_path, AT_ONCE.replace("DELAY", str(delay)))
    assert told["found"] == ["3"] * 3
    assert told["after"] == [[2, 2], 2]
    assert told["closed"] < 10
    assert (told["left"], told["alive"]) == ([], False)
