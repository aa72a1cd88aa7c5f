"""The code of a flow reaches nodes that share nothing with it, and need no Prefect."""

from __future__ import annotations

import pytest

SQUARE = """
    import json, os

    def square(x):
        return x * x, "PREFECT_API_URL" in os.environ
"""


def test_a_script_brings_its_own_functions_and_its_modules(drive):
    driver = drive(
        """
    from modules.square import square

    def double(x):
        return 2 * x

    @on_dask(Dask(workers=WorkerGroup(1)))
    @task
    def work(n):
        hide()
        client = distributed.get_client()
        return client.gather(client.map(double, range(n))), client.submit(square, n).result()[0]

    @flow
    def main():
        report(found=work(3))

    main()
    """,
        **{"modules/square.py": SQUARE, "modules/__init__.py": ""},
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert told == {"found": [[0, 2, 4], 9]}


def test_nodes_need_neither_prefect_nor_its_api(drive, bare_nodes):
    driver = drive(
        f"""
    from square import square

    @on_dask(Dask(workers=WorkerGroup(1)), provisioner=Existing({bare_nodes!r}))
    @task
    def work(n):
        hide()
        return distributed.get_client().submit(square, n).result()

    @flow
    def main():
        report(found=work(3))

    main()
    """,
        square=SQUARE,
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert told == {"found": [9, False]}


def test_a_module_that_imports_prefect_is_named_where_nodes_lack_it(drive, bare_nodes):
    driver = drive(
        f"""
    from flows import square

    @on_dask(Dask(workers=WorkerGroup(1)), provisioner=Existing({bare_nodes!r}))
    @task
    def work(n):
        return distributed.get_client().submit(square, n).result()

    @flow
    def main():
        try:
            work(3)
        except Exception as error:
            report(notes=error.__notes__)

    main()
    """,
        flows="import prefect\n" + "def square(x):\n    return x * x\n",
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    (note,) = told["notes"]
    assert note.startswith("module 'prefect' is not on the node, and no such file shipped")
    assert "or move what runs on the nodes out of flows.py, which imports it" in note


DEPLOYED = """
    import os, distributed
    from prefect import flow, task
    from daskbridge_prefect import Dask, WorkerGroup, on_dask
    from acme.cube import cube

    def square(x):
        return x * x

    @on_dask(Dask(workers=WorkerGroup(1)))
    @task
    def work(n):
        client = distributed.get_client()
        return client.gather(client.map(square, range(n))), client.submit(cube, n).result(), __name__

    @flow
    def main(n: int = 3):
        return work(n)
"""


@pytest.mark.parametrize("place", ["flow.py", "flows/flow.py"])
def test_a_deployed_flow_brings_its_file_under_its_name_and_its_root(drive, place):
    """Prefect imports the file by its path, from the directory of the deployment."""
    driver = drive(
        f"""
    import uuid
    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow
    from prefect.flows import load_flow_from_entrypoint

    os.chdir(PROJECT)
    sys.path.remove(str(PROJECT))
    loaded = load_flow_from_entrypoint("{place}:main")
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(loaded), name=uuid.uuid4().hex)
        run = client.create_flow_run_from_deployment(deployment)
    report(found=run_flow(loaded, flow_run=run))
    """,
        **{place: DEPLOYED, "acme/__init__.py": "", "acme/cube.py": "def cube(x):\n    return x ** 3\n"},
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    assert told == {"found": [[0, 1, 4], 27, "flow"]}


def test_tasks_in_processes_of_their_own_have_clusters_of_their_own(drive):
    driver = drive(
        """
    from prefect.task_runners import ProcessPoolTaskRunner
    from tasks import here, shared

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def main():
        futures = [here.submit(), here.submit(), shared.submit()]
        *found, refused = [future.result(raise_on_failure=False) for future in futures]
        report(found=found, refused=str(refused))

    if __name__ == "__main__":
        main()
    """,
        tasks="""
    import os, distributed
    from prefect import task
    from daskbridge_prefect import Dask, WorkerGroup, on_dask

    def square(x):
        return x * x

    def found():
        client = distributed.get_client()
        return client.scheduler.address, client.submit(square, 3).result()

    here = on_dask(Dask(workers=WorkerGroup(1)), max_clusters=1)(task(found))
    shared = on_dask(Dask(workers=WorkerGroup(1)), scope="flow")(task(found))
    """,
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    (one, first), (other, second) = told["found"]
    assert one != other
    assert (first, second) == (9, 9)
    assert told["refused"].startswith("scope='flow': orchestrator 'prefect' names no flow run")
