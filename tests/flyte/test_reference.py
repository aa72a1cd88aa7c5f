"""The reference document's example, with only its import line changed."""

from __future__ import annotations

EXAMPLE = """
import typing

from flyteplugins.dask import Dask, Scheduler, WorkerGroup
from flyte import Resources, TaskEnvironment

# Define the cluster topology
dask_config = Dask(
    scheduler=Scheduler(),
    workers=WorkerGroup(number_of_workers=4),
)

# Create the environment
dask_env = TaskEnvironment(
    name="dask_env",
    plugin_config=dask_config,
    resources=Resources(cpu="1", memory="1Gi"),
)

@dask_env.task
async def hello_dask_nested(n: int = 3) -> typing.List[int]:
    from distributed import Client
    # The client automatically connects to the scheduler provisioned by Flyte
    client = Client()
    futures = client.map(lambda x: x + 1, range(n))
    res = client.gather(futures)
    return res
"""
FILES = {"dask_example.py": EXAMPLE.replace("from flyteplugins.dask import", "from daskbridge_flyte import")}


def test_the_example_runs(job):
    example = job("", FILES, task="dask_example:hello_dask_nested", n=3)
    assert example.custom == {"scheduler": {}, "workers": {"numberOfWorkers": 4}}
    outcome = example.run()
    assert outcome.outputs == [[1, 2, 3]], outcome.log


def test_the_example_runs_as_a_task_that_another_dask_task_calls(job):
    nested = """
        import dask_example
        env = environment(1, name="outer")

        @env.task
        async def main(n: int) -> list[int]:
            inner = await dask_example.hello_dask_nested(n)
            return distributed.get_client().gather(distributed.get_client().map(lambda x: 2 * x, inner))
    """
    outcome = job(nested, FILES, nested=True, n=3).run()
    assert outcome.outputs == [[2, 4, 6]], outcome.log
