"""Whatever ends a flow or keeps it from its cluster: nothing is left, and Prefect is told the truth."""

from __future__ import annotations

import json
import signal
import threading

import distributed
import psutil
import pytest
from daskbridge_prefect import Dask, WorkerGroup, on_dask
from prefect import flow, task

from daskbridge.errors import InsideDaskTask, ProvisioningError

from .server import until

ONE = Dask(workers=WorkerGroup(1))
#: Seconds in which the processes of a flow that was told to end must be gone.
SOON = 30

#: A flow whose task writes down its processes and then waits for ever.
WAITING = """
    def everything_of(process):
        return [process.pid, *(child.pid for child in process.children(recursive=True))]

    @on_dask(Dask(workers=WorkerGroup(2)))
    @task
    def work():
        client = distributed.get_client()
        future = client.submit(time.sleep, 300)
        while not client.processing() or not any(client.processing().values()):
            time.sleep(0.05)
        pids = everything_of(psutil.Process())
        assert len(pids) >= 5, pids
        told = PROJECT / "told.part"
        told.write_text(json.dumps({"flow_run": str(FlowRunContext.get().flow_run.id), "pids": pids}))
        told.rename(PROJECT / "told")
        future.result()

    @flow
    def main():
        work()

    @flow
    def submitted():
        work.submit().result()
"""


def told_by(directory, driver):
    """Wait until the flow's task has written down its processes."""
    place = directory / "project" / "told"
    until(lambda: place.exists() or driver.process.poll() is not None, bool, 100)
    assert place.exists(), driver.errors.read_text()
    return json.loads(place.read_text())


def gone(pids, driver):
    """Tell whether none of the processes is left."""

    def look():
        driver.process.poll()  # else it would stay as a zombie
        return not any(map(psutil.pid_exists, pids))

    return until(look, bool, SOON)


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ("main", signal.SIGTERM),
        ("submitted", signal.SIGTERM),
        ("main", signal.SIGINT),
        ("submitted", signal.SIGKILL),
    ],
)
def test_a_flow_that_is_told_to_end_leaves_no_process(drive, server, tmp_path, how, number):
    driver = drive(WAITING + f"\n    {how}()\n")
    told = told_by(tmp_path, driver)
    driver.process.send_signal(number)
    assert gone(told["pids"], driver), driver.errors.read_text()
    if number != signal.SIGKILL:
        (run,) = server.task_runs(told["flow_run"])
        # in a thread, which no signal reaches, it is cancelled
        assert run["state_type"] == ("CRASHED" if how == "main" else "FAILED")


@pytest.mark.timeout(240)
def test_a_served_flow_that_is_cancelled_leaves_no_process(drive, server, tmp_path):
    driver = drive(
        WAITING + '\n    if __name__ == "__main__":\n        main.serve(name="waiting", limit=1)\n'
    )
    found = until(
        lambda: server.ask("deployments/filter", deployments={"name": {"any_": ["waiting"]}}), bool, 100
    )
    assert found, driver.errors.read_text()
    run = server.ask(f"deployments/{found[0]['id']}/create_flow_run")
    told = told_by(tmp_path, driver)
    assert told["flow_run"] == run["id"]
    server.ask(f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
    assert gone(told["pids"], driver), driver.errors.read_text()

    def state():
        runs = server.ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return runs[0]["state_type"]

    assert until(state, lambda seen: seen == "CANCELLED") == "CANCELLED"
    driver.process.send_signal(signal.SIGINT)
    driver.process.wait(30)


def test_a_flow_in_a_kubernetes_pod_has_to_name_a_provisioner(api, started, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    @on_dask(ONE)
    @task
    def squeezed():
        raise AssertionError("it must not run")

    @flow
    def main():
        return squeezed(return_state=True)

    with pytest.raises(ProvisioningError, match="inside a Kubernetes pod a local cluster would be confined"):
        main().result()
    assert started == []


def test_a_task_on_a_worker_of_another_cluster_is_refused(api, started):
    adding = on_dask(ONE, code=False)(task(lambda: distributed.get_client().submit(abs, -1).result()))
    with distributed.LocalCluster(1, processes=False, dashboard_address=":0") as cluster:
        with distributed.Client(cluster, set_as_default=False) as outer:
            state = outer.submit(lambda: adding(return_state=True), pure=False).result(60)
    with pytest.raises(InsideDaskTask, match="inside a task of another, on its worker inproc://"):
        state.result()
    assert started == []


def test_a_task_that_nobody_waits_for_runs_to_its_end(api):
    """Prefect's runner tells all of its tasks that it is over, in order, too."""
    begun = threading.Event()
    ran = []

    @on_dask(ONE, code=False)
    @task
    def last():
        client = distributed.get_client()
        begun.set()
        ran.append(client.submit(lambda: __import__("time").sleep(2)).result())

    @flow
    def main():
        last.submit()
        begun.wait(60)

    main()
    assert ran == [None]
