"""Each message of the page's troubleshooting is what is really printed: it is provoked here."""

from __future__ import annotations

import re

import pytest
from tests.pages import ROOT

from .reader import missing, shown

PAGE = (ROOT / "docs/how-to/flyte.md").read_text("utf-8").partition("## Troubleshooting")[2]
MESSAGES = re.findall(r"(?ms)^```text\n(.*?)^```$", PAGE)

LOCAL = """
import flyte
from distributed import get_client
from daskbridge import Dask, WorkerGroup
{adapter}
env = flyte.TaskEnvironment("jobs", plugin_config=Dask({fields}))
@env.task
async def main() -> int:
    {body}
"""
BACKEND = """
    import mylib
    env = environment({workers}, {fields})

    def two():
        return 2

    @env.task
    async def main() -> int:
        client = distributed.get_client()
        {body}
"""
FILES = {
    "mylib.py": """
        import time

        def hungry():
            eaten = b"x" * 2**29
            time.sleep(60)
            return len(eaten)
    """
}
#: A directory that not even root can make.
NO_CACHE = {"DASK_DASKBRIDGE__CACHE_DIRECTORY": "/proc/none"}


@pytest.fixture
def task(tmp_path):
    """Run a task on this machine; return what is printed."""

    def task(fields="", body="return 1", *, adapter="import daskbridge_flyte", command="flyte run --local"):
        (tmp_path / "jobs.py").write_text(LOCAL.format(adapter=adapter, fields=fields, body=body))
        return shown(f"{command} jobs.py main", tmp_path)

    return task


@pytest.fixture
def backend(job):
    """Make a job of the backend."""

    def backend(workers=1, fields="", body="return 1", **options):
        return job(BACKEND.format(workers=workers, fields=fields, body=body), FILES, **options)

    return backend


def told(job):
    """Return a job's log and error, once it has ended."""
    outcome = job.wait() if job.runner else job.run()
    assert outcome.error is not None, outcome.log
    return f"{outcome.log}\n{outcome.error.message}"


def without_the_import(task, backend):
    return task(adapter="", command="python")


def more_than_the_backend_can(task, backend):
    return task("worker_groups={'big': WorkerGroup(1)}")


def threads_without_cpu(task, backend):
    return task("workers=WorkerGroup(threads=2)")


def awaited(task, backend):
    return task(body="client = get_client(); return sum(await client.gather(client.map(abs, range(3))))")


def no_address(task, backend):
    alone = backend()
    alone.start_runner(env={"DASK_SCHEDULER_ADDRESS": ""})
    return told(alone)


def no_scheduler(task, backend):
    alone = backend(fields="start_timeout=3")
    alone.start_runner(env={"DASK_DASKBRIDGE__STEP_INTERVAL": "0.5"})
    return told(alone).replace(str(alone.port), "8786")


def one_of_two_workers(task, backend):
    half = backend(2, "start_timeout=5, min_workers=2")
    half.start_scheduler()
    runner = half.start_runner()
    half.start_worker()
    half.until(lambda: ": sync " in runner.log)
    half.start_worker(env=NO_CACHE)
    return told(half)


def no_directory_to_write_to(task, backend):
    full = backend()
    full.start_scheduler()
    worker = full.start_worker(env=NO_CACHE)
    full.until(lambda: "Registered to" in worker.log)
    full.start_runner()
    return told(full)


def other_versions(task, backend):
    mixed = old_workers(backend())
    mixed.start_scheduler()
    worker = mixed.start_worker()
    mixed.until(lambda: "Registered to" in worker.log)
    mixed.start_runner()
    return told(mixed)


def other_versions_later(task, backend):
    mixed = old_workers(backend(fields="start_timeout=5"))
    mixed.start_scheduler()
    runner = mixed.start_runner()
    mixed.until(lambda: ": compare " in runner.log)
    mixed.start_worker()
    return told(mixed)


def old_workers(job):
    """Let the workers' image say that it has another cloudpickle."""
    job.images["worker"] = job.submission.directory / "old"
    info = job.images["worker"] / "cloudpickle-0.1.dist-info" / "METADATA"
    info.parent.mkdir(parents=True)
    info.write_text("Metadata-Version: 2.1\nName: cloudpickle\nVersion: 0.1\n")
    return job


def other_code(task, backend):
    stale = backend(mode="none")
    stale.images["worker"] = stale.submission.directory / "empty"
    stale.images["worker"].mkdir()
    return told(stale)


def function_of_the_task_s_module(task, backend):
    return told(backend(body="return client.submit(two).result()"))


def lost(task, backend):
    gone = backend(body="print('begun', flush=True); client.submit(time.sleep, 60).result()")
    runner = gone.start_runner(env={"DASK_DASKBRIDGE__LOST_TIMEOUT": "1"})
    scheduler = gone.start_scheduler()
    gone.start_workers()
    gone.until(lambda: "begun" in runner.log)
    scheduler.end(grace=0)
    return told(gone)


def out_of_memory(task, backend):
    config = "config={'distributed': {'scheduler': {'allowed-failures': 0}}}"
    hungry = backend(fields=config, body="return client.submit(mylib.hungry).result()")
    hungry.custom["workers"]["resources"] = {"limits": [{"name": "MEMORY", "value": "300Mi"}]}
    return told(hungry)


#: What happens, and how the messages begin that it prints.
SCENES = {
    without_the_import: ["No task plugin found"],
    more_than_the_backend_can: ["the target 'flyte' can't do"],
    threads_without_cpu: ["workers.threads: "],
    awaited: ["TypeError: object list"],
    no_address: ["the task runs in Flyte's backend without a scheduler"],
    no_scheduler: ["provision "],
    one_of_two_workers: ["the cluster was not ready", "worker ... could not get the code"],
    no_directory_to_write_to: ["the code did not reach every node"],
    other_versions: ["the nodes' environment differs"],
    other_versions_later: ["worker ... was turned away"],
    other_code: ["the nodes' image has other code"],
    function_of_the_task_s_module: ["module 'flyte' is not on the node", "no dashboard"],
    lost: ["the cluster at "],
    out_of_memory: ["task '...' was running"],
}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_is_printed_is_what_the_page_says(scene, task, backend):
    expected = [text for text in MESSAGES if text.startswith(tuple(SCENES[scene]))]
    printed = scene(task, backend)

    assert len(expected) == len(SCENES[scene])
    for text in expected:
        assert not missing(text, printed), printed


def test_every_message_of_the_page_is_provoked():
    known = tuple(start for starts in SCENES.values() for start in starts)

    assert [text for text in MESSAGES if not text.startswith(known)] == []
