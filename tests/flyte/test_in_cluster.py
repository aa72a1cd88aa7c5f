"""Tasks in the backend: the cluster is there, the code is on every node, whichever way it travels."""

from __future__ import annotations

import json
import sys

import pytest

#: A project's package: where a function runs and where it was imported from, and a data file beside it.
FILES = {
    "mylib/__init__.py": "",
    "mylib/words.txt": "hello",
    "mylib/parts.py": """
        import importlib.resources, os

        def here():
            return os.path.realpath(__file__)

        def words(_):
            return importlib.resources.files("mylib").joinpath("words.txt").read_text()

        def count(n):
            print(f"counted to {n}")
            return n + 1
    """,
}

MAIN = """
    import json
    import dask.config
    import mylib.parts

    RETRIES = "distributed.comm.retry.count"
    env = environment(2, config={"distributed": {"comm": {"retry": {"count": 7}}}}, min_workers=2)

    def doubled(n):
        return 2 * n

    @env.task
    async def main(n: int) -> str:
        client = flyte.ctx().data["dask_client"]
        with distributed.Client() as bare:
            addresses = [bare.scheduler.address]
        addresses += [distributed.get_client().scheduler.address, client.scheduler.address]
        return json.dumps({
            "addresses": addresses,
            "package": client.gather(client.map(mylib.parts.count, range(n), pure=False)),
            "lambda": client.gather(client.map(lambda x: x - 1, range(n))),
            "own": client.gather(client.map(doubled, range(n))),
            "data": client.submit(mylib.parts.words, 0).result(),
            "workers": client.run(mylib.parts.here),
            "scheduler": client.run_on_scheduler(mylib.parts.here),
            "runner": mylib.parts.here(),
            "plugins": client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.plugins)),
            "config": [
                dask.config.get(RETRIES),
                client.run_on_scheduler(dask.config.get, RETRIES),
                *client.run(dask.config.get, RETRIES).values(),
            ],
        })
"""


class Story:
    """One task that has run well."""

    def __init__(self, mode, job):
        self.mode, self.job = mode, job
        self.outcome = job.run()
        assert self.outcome.error is None, self.outcome.error
        self.told = json.loads(self.outcome.outputs[0])


@pytest.fixture(scope="module", params=["tgz", "pkl", "none"])
def story(request, module_job):
    """Run the task once for each way in which code travels; nodes import the task's own module, too."""
    return Story(request.param, module_job(MAIN, FILES, mode=request.param, python=sys.executable, n=3))


def test_functions_of_the_project_run_on_workers(story):
    assert story.told["package"] == [1, 2, 3]


def test_functions_of_the_task_s_own_module_run_on_workers(story):
    assert story.told["own"] == [0, 2, 4]
    assert story.told["lambda"] == [-1, 0, 1]


def test_every_node_imports_its_own_copy(story):
    files = {story.told["runner"], story.told["scheduler"], *story.told["workers"].values()}
    if story.mode == "tgz":
        owners = [pod.name for pod in story.job.pods for file in files if str(pod.directory) in file]
        assert sorted(owners) == ["runner", "scheduler", "worker-0", "worker-1"]
    else:
        assert files == {str(story.job.submission.image / "mylib" / "parts.py")}


def test_package_data_is_beside_the_code(story):
    assert story.told["data"] == "hello"


def test_every_way_to_a_client_reaches_this_cluster(story):
    assert set(story.told["addresses"]) == {story.job.address}


def test_the_cluster_is_left_to_the_backend_to_end(story):
    assert [name for name in story.told["plugins"] if "guard" in name]
    assert [name for name in story.told["plugins"] if "lease" in name] == []


def test_the_topology_s_dask_configuration_is_in_force_on_every_node(story):
    assert story.told["config"] == [7] * 4


def test_what_workers_print_is_in_the_task_s_log_with_their_names(story):
    lines = [line for line in story.outcome.log.splitlines() if "counted to" in line]
    assert len(lines) == 3
    assert all("worker-0" in line or "worker-1" in line for line in lines)


def test_every_step_is_in_the_task_s_log(story):
    for step in ("provision", "connect", "compare", "sync", "ready", "close"):
        assert f"daskbridge dask_env.main: {step}" in story.outcome.log


def test_the_dashboard_is_in_the_task_s_log(story):
    assert "dashboard: http://127.0.0.1:" in story.outcome.log


LINK = "https://dask.example.org/{host}/{port}/status"
LINKED = """
    env = environment(1, config={config})
    env.env_vars = {env_vars}

    @env.task
    def main() -> int:
        return 1
"""


@pytest.mark.parametrize(
    ("config", "env_vars"),
    [
        ({"distributed": {"dashboard": {"link": LINK}}}, None),
        ({}, {"DASK_DISTRIBUTED__DASHBOARD__LINK": LINK}),
    ],
    ids=["topology", "variable"],
)
def test_a_link_to_the_dashboard_that_is_configured_is_the_one_in_the_task_s_log(job, config, env_vars):
    outcome = job(LINKED.format(config=config, env_vars=env_vars), python=sys.executable).run()
    assert "dashboard: https://dask.example.org/127.0.0.1/" in outcome.log
