"""A cluster for the tasks of one flow run, under an orchestrator that says which that is."""

from __future__ import annotations

import pytest

#: Tasks run in threads of one process; each knows its flow by its context.
PLUGIN = """
    from contextvars import ContextVar
    from daskbridge.plugins import ClusterPlugin, Orchestrator, hookimpl

    current = ContextVar("current", default=None)
    heard, asked = [], []

    @hookimpl
    def daskbridge_orchestrators():
        return Orchestrator(
            "acme",
            detect=lambda: True,
            flow=current.get,
            on_ready=lambda run: heard.append(("ready", run.name, run.ref.scheduler_address)),
            on_close=lambda run: heard.append(("closed", run.name, run.ref and run.ref.scheduler_address)),
        )

    @hookimpl
    def daskbridge_cluster_plugins(run):
        from distributed.diagnostics.plugin import ForwardOutput

        asked.append(run.name)
        return ClusterPlugin("acme-output", ForwardOutput())
"""
FILES = {
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[daskbridge]\nacme = acme_plugin\n",
    "acme_plugin": PLUGIN,
}
PRELUDE = """
    import acme_plugin, dask.config
    from concurrent.futures import ThreadPoolExecutor
    from distributed import get_client
    from daskbridge.errors import DaskbridgeError
    dask.config.set({"daskbridge.display": "off"})

    together = threading.Barrier(3)

    @on_dask(Dask(workers=WorkerGroup(1)), scope="flow", code=False, name="task")
    def task():
        client = get_client()
        together.wait(30)
        plugins = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
        return client.scheduler.address, "acme-output" in plugins

    def in_flow(name):
        acme_plugin.current.set(name)
        return task()
"""


def test_the_tasks_of_a_flow_run_share_a_cluster_and_those_of_another_have_theirs(drive):
    driver = drive(
        PRELUDE
        + """
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(in_flow, ["a", "b", "a"]))
    report(found=found, heard=acme_plugin.heard, asked=acme_plugin.asked, left=nodes())
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    (a, equipped), (b, _), again = told["found"]
    assert (again, equipped) == ([a, True], True)
    assert a != b
    assert told["left"] == []
    assert sorted(told["asked"]) == ["cluster of flow run a", "cluster of flow run b"]
    of_blocks = [[when, "task", address] for when in ("closed", "ready") for address in (a, a, b)]
    assert sorted(told["heard"]) == sorted(of_blocks)


def test_what_plugins_have_registered_stays_while_a_block_uses_the_cluster(drive):
    driver = drive(
        PRELUDE
        + """
    together = threading.Barrier(1)
    acme_plugin.current.set("a")
    with transient(Dask(workers=WorkerGroup(1)), scope="flow", code=False):
        report(equipped=[task()[1] for _ in range(2)])
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"equipped": [True, True]}


@pytest.mark.parametrize(
    ("flow", "kind", "said"),
    [
        (None, "ScopeError", "scope='flow': orchestrator 'acme' names no flow run to share a cluster in"),
        (7, "PluginError", "orchestrator 'acme' answered flow() with 7; expected a string or None"),
    ],
    ids=["no flow", "no text"],
)
def test_without_a_flow_run_nothing_starts(drive, flow, kind, said):
    driver = drive(
        PRELUDE
        + f"""
    try:
        in_flow({flow!r})
    except DaskbridgeError as error:
        report(kind=type(error).__name__, text=str(error), notes=getattr(error, "__notes__", []))
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told["kind"] == kind
    assert told["text"].startswith(said)
    assert "use scope='process'" in "".join(told["notes"]) or kind == "PluginError"
