"""A cluster for the tasks of one flow run, under an orchestrator that says which that is."""

from __future__ import annotations

import pytest

#: Tasks run in threads of one process; each knows its flow by its context.
PLUGIN = """
    from contextvars import ContextVar
    from daskbridge.plugins import ClusterPlugin, Orchestrator, hookimpl

    current = ContextVar("current", default=None)
    heard, asked = [], []
    flow_ends = logger = None

    @hookimpl
    def daskbridge_orchestrators():
        return Orchestrator(
            "acme",
            detect=lambda: True,
            flow=current.get,
            flow_open=lambda: flow_ends and (lambda: not flow_ends.is_set()),
            logger=lambda run: logger,
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


def test_a_cluster_ends_where_the_orchestrator_can_t_tell_of_the_flow_run_any_more(drive):
    driver = drive(
        PRELUDE
        + """
    class Flow(threading.Event):
        def is_set(self):
            if super().is_set():
                raise OSError("no database")

    together = threading.Barrier(1)
    acme_plugin.flow_ends = Flow()
    in_flow("a")
    between = len(nodes())
    acme_plugin.flow_ends.set()
    deadline = time.monotonic() + 30
    while nodes() and time.monotonic() < deadline:
        time.sleep(0.05)
    report(between=between, left=nodes())
    """,
        **FILES,
    )
    assert next(driver.reports()) == {"between": 2, "left": []}
    code, printed = driver.wait()
    assert code == 0
    assert "flow_open failed: the flow run's cluster ends with its last block" in printed
    assert printed.count("OSError: no database") == 1


def test_a_cluster_ends_with_the_flow_run_where_the_orchestrator_tells_of_that(drive):
    driver = drive(
        PRELUDE
        + """
    together = threading.Barrier(1)
    acme_plugin.flow_ends = threading.Event()
    one, other = in_flow("a")[0], in_flow("a")[0]
    between = len(nodes())
    acme_plugin.flow_ends.set()
    deadline = time.monotonic() + 30
    def threads():
        return [thread.name for thread in threading.enumerate() if thread.name == "daskbridge"]

    while (nodes() or threads()) and time.monotonic() < deadline:
        time.sleep(0.05)
    report(same=one == other, between=between, left=nodes(), threads=threads())
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"same": True, "between": 2, "left": [], "threads": []}


def test_an_interpreter_that_ends_waits_for_the_cluster_of_its_flow_run(drive, gone):
    driver = drive(
        PRELUDE
        + """
    together = threading.Barrier(1)
    acme_plugin.flow_ends = threading.Event()

    @acme_plugin.hookimpl
    def daskbridge_step(step, state, run):
        if (step, state) == ("close", "done") and run.shared:
            Path(sys.argv[0]).with_name("closed").touch()

    acme_plugin.daskbridge_step = daskbridge_step
    in_flow("a")
    report(left=nodes())
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait()[0] == 0
    assert len(told["left"]) == 2
    assert driver.errors.with_name("project").joinpath("closed").exists()
    assert gone(told["left"])


def test_a_cluster_of_a_flow_run_that_is_lost_is_not_kept(drive):
    driver = drive(
        PRELUDE
        + """
    together = threading.Barrier(1)
    acme_plugin.flow_ends = threading.Event()
    one = in_flow("a")[0]
    for node in nodes():
        psutil.Process(node).kill()
    other = in_flow("a")[0]
    report(same=one == other, alive=len(nodes()))
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait()[0] == 0
    assert told == {"same": False, "alive": 2}


def test_what_workers_say_goes_to_the_orchestrators_logger(drive):
    driver = drive(
        """
    import acme_plugin, dask.config, logging
    dask.config.set({"daskbridge.display": "off"})
    said = []

    class Kept(logging.Handler):
        def emit(self, record):
            said.append((record.levelname, record.getMessage(), record.task))

    acme = logging.getLogger("acme")
    acme.setLevel("INFO")
    acme.addHandler(Kept())
    acme_plugin.logger = logging.LoggerAdapter(acme, {"task": "fit"})

    def speak():
        import logging
        print("printed")
        logging.getLogger("user").info("logged")
        logging.getLogger("user").debug("whispered")

    with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
        cluster.client.submit(speak).result()
    report(said=said)
    """,
        **FILES,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    lines = [(level, text.partition("] ")[2], task) for level, text, task in told["said"]]
    assert lines == [("INFO", "printed", "fit"), ("INFO", "user: logged", "fit")]


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
