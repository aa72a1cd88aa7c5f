"""Code that the nodes' image has: compared with the driver's on every node, early or late, and never sent."""

from __future__ import annotations

import time

import pytest
from distributed import Client
from tests.nodes import dask_nodes

PATIENCE = 60
PROJECT = {
    "wf": "import shop.prices\n\ndef price(_):\n    return shop.prices.PRICE\n",
    "shop/__init__.py": "",
    "shop/prices.py": "PRICE = 1\n",
}
STALE = PROJECT | {"shop/prices.py": "PRICE = 0\n"}


def image(directory, project):
    """Write what the image of a node has; return the variables by which a node has it."""
    for path, text in project.items():
        file = directory / (path if "." in path else f"{path}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return {"PYTHONPATH": str(directory)}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with dask_nodes(tmp_path_factory.mktemp("nodes")) as made:
        made.equal, made.stale = (
            image(tmp_path_factory.mktemp("image"), project) for project in (PROJECT, STALE)
        )
        made.scheduler(**made.equal)
        made.worker("good", **made.equal)
        yield made


def seen(nodes):
    """Tell what a newcomer finds on the cluster: plugins, handlers, names of workers."""

    def look(dask_scheduler):
        plugins = {*dask_scheduler.plugins, *dask_scheduler.worker_plugins, *dask_scheduler.handlers}
        names = sorted(worker.name for worker in dask_scheduler.workers.values())
        return sorted(name for name in plugins if "daskbridge" in name), names

    with Client(nodes.address, set_as_default=False) as client:
        return client.run_on_scheduler(look)


#: A program whose cluster is somebody else's, or with ``OURS`` its own.
MAIN = """
    import asyncio, wf
    from dataclasses import replace
    from daskbridge.code import InstalledCode

    class Ours(Existing):
        async def provision(self, topology, run):
            handle = await super().provision(topology, run)
            handle.ref = replace(handle.ref, exclusive=True)
            return handle

    def who(seconds):
        from distributed import get_worker
        time.sleep(seconds)
        return get_worker().name

    def told(kind, name):
        while not any(
            (event["kind"], event["name"]) == (kind, name)
            for _, event in cluster.client.get_events("daskbridge")
        ):
            time.sleep(0.1)

    topology = Dask(workers=WorkerGroup(WORKERS), min_workers=WORKERS)
    code = InstalledCode(["wf"])
    with transient(topology, provisioner=WHOSE(scheduler_file=FILE), code=code) as cluster:
        BODY
"""


def main(nodes, body, whose="Existing", workers=1):
    text = MAIN.replace("BODY", body).replace("FILE", repr(str(nodes.file)))
    return text.replace("WHOSE", whose).replace("WORKERS", str(workers))


EQUAL = """
        before = cluster.client.run(lambda: "wf" in sys.modules)
        [detail] = [step.detail for step in cluster.timeline if step.name == "sync"]
        report(detail=detail, before=list(before.values()), price=cluster.client.submit(wf.price, 0).result())
"""


def test_equal_code_is_used_as_it_is_and_not_imported_by_the_comparison(nodes, drive):
    driver = drive(main(nodes, EQUAL), **PROJECT)
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"detail": "3 modules equal on 2 nodes", "before": [False], "price": 1}
    assert seen(nodes) == ([], ["good"])


def test_other_code_is_refused_with_a_table_before_the_body_runs(nodes, drive):
    project = STALE | {"wf": "import fresh\n" + PROJECT["wf"], "fresh": ""}
    driver = drive(main(nodes, "report(body='ran')"), **project)
    assert list(driver.reports()) == []
    code, errors = driver.wait()
    assert code == 1
    table = errors.partition("EnvironmentMismatch: ")[2].splitlines()
    assert table[0] == "the nodes' image has other code than the driver"
    rows = [[cell.strip() for cell in row.split("|")] for row in table[1:5]]
    assert [row[0] for row in rows] == ["module", "fresh", "shop.prices", "wf"]
    assert rows[0][1:] == ["driver", "scheduler", "workers (1)"]
    assert rows[1][2:] == ["missing", "missing"]
    assert rows[2][2] == rows[2][3] != rows[2][1]
    assert table[5].startswith("hint: use the task's image for the nodes")
    assert seen(nodes) == ([], ["good"])


def test_on_a_shared_cluster_a_late_worker_that_differs_is_left_alone_and_told(nodes, drive):
    body = "report(ready=True); told('worker-differs', 'left-alone'); report(told=True)"
    driver = drive(main(nodes, body), **PROJECT)
    reports = driver.reports()
    assert next(reports, None) == {"ready": True}, driver.wait()
    worker = nodes.worker("left-alone", "--nanny", **nodes.stale)
    try:
        assert next(reports, None) == {"told": True}
        code, errors = driver.wait()
        assert code == 0
        assert "the environment of worker left-alone differs: module shop.prices " in errors
        assert seen(nodes) == ([], ["good", "left-alone"])
    finally:
        worker.terminate()
        worker.wait(PATIENCE)


# From here on the cluster counts as the run's own, so what is registered there stays.


def test_a_worker_that_differs_and_comes_before_the_body_ends_the_run_with_the_table(nodes, drive):
    loud = "\n    import dask.config\n    dask.config.set({'daskbridge.display': 'on'})\n"
    driver = drive(loud + main(nodes, "report(body='ran')", whose="Ours", workers=2), **PROJECT)
    end = time.monotonic() + PATIENCE
    while ": ready" not in driver.errors.read_text():
        assert time.monotonic() < end, driver.errors.read_text()
        time.sleep(0.05)
    worker = nodes.worker("early", "--nanny", **nodes.stale)
    assert list(driver.reports()) == []
    code, errors = driver.wait()
    assert code == 1
    table = errors.partition("EnvironmentMismatch: ")[2].splitlines()
    _, ours, scheduler, workers = (cell.strip() for cell in table[2].split("|"))
    (theirs,) = {each.removesuffix(" (1)") for each in workers.split(", ")} - {ours}
    assert (scheduler, workers) == (ours, ", ".join(f"{each} (1)" for each in sorted([ours, theirs])))
    worker.wait(PATIENCE)


LATE = """
        futures = cluster.client.map(who, [0.2] * 20, pure=False)
        report(ready=True)
        told("worker-refused", "stale")
        report(told=cluster._engine.connection.arrivals.refused, ran=cluster.client.gather(futures))
        report(value=cluster.client.submit(wf.price, 0, workers=["equal"]).result())
"""


def test_on_a_cluster_of_ours_a_late_worker_that_differs_never_runs_a_task(nodes, drive):
    driver = drive(main(nodes, LATE, whose="Ours"), **PROJECT)
    reports = driver.reports()
    assert next(reports, None) == {"ready": True}, driver.wait()
    worker = nodes.worker("stale", "--nanny", **nodes.stale)
    told = next(reports, None)
    assert set(told["ran"]) == {"good"}
    assert told["told"][0].startswith(
        "worker stale was turned away: its environment differs: module shop.prices"
    )
    worker.wait(PATIENCE)
    nodes.worker("equal", **nodes.equal)
    assert next(reports, None) == {"value": 1}
    code, errors = driver.wait()
    assert code == 0, errors
