"""The census in a Flyte task: the same functions and the same topology file as in plain Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from .backend import DaskJob, submit

ROOT = Path(__file__).parents[2]
CENSUS = Path("examples", "census")
#: More files than one task takes.
FILES = 250
TABLE = """\
package      from  files  bytes  lines  functions  classes  imports  broken
m            FROM    250  5,750    500        250        0      250       0
alone        FROM      1     14      1          0        1        0       0
broken       FROM      1      7      1          0        0        0       1
3 packages           252  5,771    502        250        1      250       1
"""
LINES = 502


@pytest.fixture
def tree(tmp_path):
    package = tmp_path / "tree" / "m"
    package.mkdir(parents=True)
    for number in range(FILES):
        (package / f"m{number}.py").write_text("import a\ndef f(): pass\n")
    (package.parent / "alone.py").write_text("class C: pass\n")
    (package.parent / "broken.py").write_text("def f(:")
    return package.parent


def printed(log):
    """Return the cells of the table in a task's output."""
    lines = log.partition("package  ")[2].splitlines()[1 : TABLE.count("\n")]
    return [line.split() for line in lines]


def expected(tree):
    return [line.split() for line in TABLE.replace("FROM", str(tree)).splitlines()[1:]]


@pytest.mark.example
def test_the_census_runs_on_this_machine(tree):
    command = ["run", "--local", str(CENSUS / "flyte_census.py"), "census", "--root", str(tree)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("flyte")), *command],
        cwd=ROOT,
        check=False,
        timeout=100,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert printed(done.stdout) == expected(tree)
    assert f"Outputs: ActionOutputs(o0={LINES})" in done.stdout
    assert "daskbridge census.census: ready" in done.stderr


def test_the_census_runs_in_the_backend_on_nodes_that_have_dask_only(
    tree, tmp_path, dask_python, monkeypatch
):
    project = tmp_path / "job" / "project"
    copytree(ROOT / CENSUS, project / CENSUS, ignore=ignore_patterns("__pycache__"))
    # `flyte run FILE` puts the file's directory on the path, here and in the task's pod
    monkeypatch.setenv("PYTHONPATH", str(project / CENSUS))
    census = submit(project, "examples.census.flyte_census:census", "tgz", inputs={"root": str(tree)})
    job = DaskJob(census, python=dask_python)
    try:
        job.start_runner(env={"_F_SYS_PATH": f"./{CENSUS}"})
        job.start_scheduler()
        assert len(job.start_workers()) == 2
        outcome = job.wait()
    finally:
        job.end()

    assert outcome.outputs == [LINES], outcome.log
    assert printed(outcome.log) == expected(tree)
    assert "workers ready: 2, needed: 2" in outcome.log
    assert "differs" not in outcome.log, "nodes need no Flyte"
