"""Local runs: the cluster is there, with the user's code, for each task its own."""

from __future__ import annotations

import sys

import pytest

from .local import FLYTE, NOTHING
from .test_reference import FILES

TASKS = """
import json, os
from pathlib import Path
import flyte
import mylib
from daskbridge import Dask, Scheduler, WorkerGroup  # the command has made the adapter known

PROJECT = Path(__file__).parent
env = flyte.TaskEnvironment(
    "dask_env", plugin_config=Dask(Scheduler(flyte.Image.from_debian_base()), WorkerGroup(4))
)

def look(n):
    import dask.bag
    from distributed import Client, get_client

    os.rename(PROJECT, PROJECT.with_name("hidden"))
    client = Client()
    client.wait_for_workers(4, timeout=30)
    clients = [client, get_client(), flyte.ctx().data["dask_client"]]
    Path(os.environ["TOLD"]).write_text(json.dumps({
        "driver": os.getpid(),
        "workers": list(client.run(os.getpid).values()),
        "addresses": [each.scheduler.address for each in clients],
        "futures": client.gather(client.map(mylib.where, range(n))),
        "delayed": [dask.delayed(mylib.where)(n).compute()],
        "bag": dask.bag.range(n, npartitions=2).map(mylib.where).compute(),
    }))
    return n

@env.task
async def in_the_loop(n: int) -> int:
    return look(n)

@env.task
def in_a_thread(n: int) -> int:
    return look(n)
"""


@pytest.mark.parametrize("task", ["in_the_loop", "in_a_thread"])
def test_all_that_a_task_computes_runs_on_its_own_workers_with_its_own_code(project, task):
    project.write("wf.py", TASKS)
    told, printed = project.run(FLYTE, "run", "--local", "wf.py", task, "--n", "3")
    assert "o0=3" in printed
    workers = told["workers"]
    assert len(workers) == 4
    assert told["driver"] not in workers
    assert len(set(told["addresses"])) == 1
    for kind, count in {"futures": 3, "delayed": 1, "bag": 3}.items():
        assert len(told[kind]) == count
        assert {pid for pid, _ in told[kind]} <= set(workers)
        assert all(not file.startswith(str(project.path)) for _, file in told[kind])


def test_the_code_is_that_of_the_task_s_module_not_of_the_program_that_runs_it(project):
    project.write("wf.py", TASKS)
    elsewhere = project.temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "main.py").write_text(
        f"import sys; sys.path.insert(0, {str(project.path)!r})\n"
        "import flyte, daskbridge_flyte, wf\n"
        "flyte.with_runcontext(mode='local').run(wf.in_the_loop, n=2)\n"
    )
    told, _ = project.run(sys.executable, str(elsewhere / "main.py"))
    assert told["futures"][0][0] in told["workers"]


def test_the_reference_example_runs_with_only_the_import_line_changed(project):
    for name, text in FILES.items():
        project.write(name, text)
    _, printed = project.run(FLYTE, "run", "--local", "dask_example.py", "hello_dask_nested", "--n", "3")
    assert "[1, 2, 3]" in printed


def test_each_of_several_nested_tasks_reaches_its_own_cluster(project):
    told = project.python("""
        outer = environment("outer")
        both = asyncio.Barrier(2)

        def where():
            return [Client().scheduler.address, *Client().run(os.getpid).values()]

        @env.task
        async def child(number: int) -> list[str]:
            first = where()
            await asyncio.wait_for(both.wait(), 60)  # both clusters are there
            assert where()[0] == first[0]
            return list(map(str, first))

        @outer.task
        async def main() -> list[list[str]]:
            before = where()
            children = await asyncio.gather(child(1), child(2))
            assert where() == before
            alone = asyncio.ensure_future(child(3))
            await asyncio.wait_for(both.wait(), 60)
            return [list(map(str, before)), *children, await alone]

        tell(found=run(main).outputs()[0], left=left())
    """)
    addresses, *workers = zip(*(found[:2] for found in told["found"]), strict=True)
    assert len(set(addresses)) == 4
    assert len(set(workers[0])) == 4
    assert told["left"] == NOTHING


def test_pre_and_post_of_a_task_class_of_the_user_s_own_have_the_cluster(project):
    told = project.python("""
        from dataclasses import dataclass
        from flyte.extend import TaskPluginRegistry

        class Prepared(Dask):
            pass

        found = {}

        @dataclass(kw_only=True)
        class PreparedTask(DaskTask):
            plugin_config: Prepared

            async def pre(self, *args, **kwargs):
                data = await super().pre(*args, **kwargs)
                return data | {"table": data["dask_client"].submit(sum, [1, 2]).result()}

            async def post(self, value):
                found["after"] = Client().submit(len, "abc").result()
                return value

        TaskPluginRegistry.register(Prepared, PreparedTask)
        env = environment("prepared", topology=Prepared)

        @env.task
        async def main() -> int:
            found["names"] = sorted(flyte.ctx().data)
            return flyte.ctx().data["table"]

        tell(output=run(main).outputs()[0], **found, left=left())
    """)
    assert told == {"output": 3, "names": ["dask_client", "table"], "after": 3, "left": NOTHING}
