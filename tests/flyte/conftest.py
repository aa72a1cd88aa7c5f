"""Jobs on a model of Flyte's backend: its own entry point, real schedulers and workers, no control plane."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from tests.dask_only import dask_only

from .backend import DaskJob, submit
from .local import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

#: What every ``wf.py`` starts with; ``environment`` makes a task environment with a topology.
PRELUDE = """
import asyncio, os, sys, time
import distributed, flyte
from daskbridge_flyte import Dask, Scheduler, WorkerGroup

def environment(workers, *, name="dask_env", **fields):
    return flyte.TaskEnvironment(
        name,
        plugin_config=Dask(workers=WorkerGroup(workers), **fields),
        resources=flyte.Resources(cpu=1, memory="1Gi"),
    )
"""


def _jobs(directory: Path, dask_python: str) -> Iterator[Callable[..., DaskJob]]:
    number = count()
    with ExitStack() as started:

        def job(
            source: str,
            files: Mapping[str, str] | None = None,
            *,
            task: str = "wf:main",
            mode: str = "tgz",
            **options: Any,
        ) -> DaskJob:
            project = directory / f"job-{next(number)}" / "project"
            for name, text in {"wf.py": PRELUDE + dedent(source), **(files or {})}.items():
                file = project / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(dedent(text))
            fields = {name: options.pop(name) for name in DaskJob.__match_args__ if name in options}
            made = DaskJob(submit(project, task, mode, inputs=options), **{"python": dask_python, **fields})
            started.callback(made.end)
            return made

        yield job


@pytest.fixture(scope="session")
def dask_python(tmp_path_factory):
    """Give the interpreter of an environment with dask and distributed, without Flyte and daskbridge."""
    return dask_only(tmp_path_factory.mktemp("dask-only"))


@pytest.fixture
def job(tmp_path, dask_python):
    """Submit a project: ``wf.py`` with a task ``main``, and ``files``; its nodes have dask only.

    Further arguments are fields of DaskJob, and inputs of the task.
    """
    yield from _jobs(tmp_path, dask_python)


@pytest.fixture(scope="module")
def module_job(tmp_path_factory, dask_python):
    """Do the same once for a module of tests."""
    yield from _jobs(tmp_path_factory.mktemp("jobs"), dask_python)


@pytest.fixture
def project(tmp_path):
    """Give a user's project on this machine; what its runs leave behind is ended."""
    made = Project(tmp_path)
    yield made
    for process in made.processes():
        process.kill()
