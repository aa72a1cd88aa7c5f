"""The three promises: the cluster is there, the code is there, and all is gone afterwards."""

from __future__ import annotations

import pytest

HELPER = """
    import deeper

    def add(x):
        return x + deeper.FORTY_TWO

    def where():
        import os, sys
        return os.getcwd(), sys.path, sys.modules["__main__"].__name__
"""

STORY = """
    import helper

    def wait_for(condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def story():
        from distributed import Client, get_client
        config = {"daskbridge": {"cache-size": "3 GiB"}}
        topology = Dask(workers=WorkerGroup(2, threads=1), min_workers=2, config=config)
        with transient(topology) as cluster:
            hide()
            client, told = cluster.client, {}
            told["early"] = client.gather(client.map(helper.add, range(3)))
            told["graph"] = client.submit(sum, [client.submit(helper.add, 1)]).result()
            told["current"] = get_client() is client
            with Client() as bare:
                told["bare"] = bare.submit(helper.add, 7).result()
            found = []
            def body():
                try:
                    get_client()
                except ValueError as error:
                    found.append("none")
                with cluster.context():
                    found.append(get_client() is client)
            thread = threading.Thread(target=body)
            thread.start(); thread.join()
            told["thread"] = found
            def find(name):
                workers = client.scheduler_info()["workers"]
                return [address for address, worker in workers.items() if worker["name"] == name]
            cluster.scale(3)
            wait_for(lambda: find("default-2"))
            told["late"] = client.submit(helper.add, 10, workers=find("default-2")).result()
            first = find("default-0")
            pid = client.submit(os.getpid, workers=first, pure=False).result()
            os.kill(pid, 9)
            wait_for(lambda: find("default-0") not in ([], first))
            told["restarted"] = client.submit(helper.add, 20, workers=find("default-0")).result()
            told["where"] = client.submit(helper.where).result()
            told["config"] = client.submit(_config).result()
            told["left_open"] = str(Client().scheduler.address)
            told["pids"] = nodes()
            told["steps"] = [step.name for step in cluster.timeline]
        told["all_steps"] = [step.name for step in cluster.timeline]
        for thread in threading.enumerate():
            if thread.name == "daskbridge-call":
                thread.join(10)  # it has given its result, and is just ending
        names = [thread.name for thread in threading.enumerate()]
        told["threads"] = [name for name in names if "daskbridge" in name or "IO loop" in name]
        import dask.config
        told["address"] = dask.config.get("scheduler-address", "unset")
        told["loader"] = dask.config.get("distributed.client.security-loader", "unset")
        report(**told)

    def _config():
        import dask.config
        return dask.config.get("daskbridge.cache-size")

    story()
"""


@pytest.fixture(scope="module")
def story(drive_module):
    driver = drive_module(STORY, helper=HELPER, deeper="FORTY_TWO = 42\n")
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    return told


def test_functions_of_the_project_run_on_workers_after_the_project_is_gone(story):
    assert story["early"] == [42, 43, 44]


def test_a_graph_of_the_project_s_functions_passes_the_scheduler(story):
    assert story["graph"] == 43


def test_get_client_is_the_cluster_s(story):
    assert story["current"] is True


def test_a_bare_client_reaches_the_cluster(story):
    assert story["bare"] == 49


def test_a_thread_takes_the_cluster_along_by_its_context(story):
    assert story["thread"] == ["none", True]


def test_a_worker_that_joins_late_has_the_code(story):
    assert story["late"] == 52


def test_a_worker_that_was_killed_and_restarted_has_the_code(story):
    assert story["restarted"] == 62


def test_nodes_share_neither_directory_nor_path_nor_main_with_the_driver(story):
    directory, path, main = story["where"]
    assert directory.endswith(("/default-0", "/default-1", "/default-2"))
    assert not [entry for entry in path if entry.endswith(("/project", "/hidden"))]
    assert main == "__main__"


def test_the_topology_s_dask_configuration_is_on_the_workers(story):
    assert story["config"] == "3 GiB"


def test_every_process_is_gone_when_the_block_is_left(story, gone):
    assert len(story["pids"]) >= 4
    assert gone(story["pids"], timeout=0)


def test_no_thread_of_the_core_but_that_of_the_warm_process_and_no_client_is_left(story):
    assert story["threads"] == ["daskbridge-local"]


def test_dask_s_configuration_is_as_it_was(story):
    assert (story["address"], story["loader"]) == ("unset", None)


def test_every_step_is_recorded_in_order(story):
    assert story["steps"] == ["check", "provision", "connect", "compare", "sync", "ready"]
    assert story["all_steps"] == [*story["steps"], "body", "close"]
