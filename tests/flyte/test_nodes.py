"""What nodes may lack: Flyte, daskbridge, a working directory to write to; and what they may not."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import copytree

import pytest

FILES = {"mylib/__init__.py": "", "mylib/parts.py": "def one():\n    return 1\n"}

MAIN = """
    import mylib.parts
    env = environment(1)

    def two():
        return 2

    @env.task
    def main(own: bool) -> list[int]:
        client = distributed.Client()
        found = client.gather([client.submit(mylib.parts.one), client.submit(lambda: 1)])
        print("found", found)
        return [distributed.get_client().submit(two).result()] if own else found
"""


def test_dask_alone_is_enough_for_the_functions_of_modules_that_need_no_more(job):
    outcome = job(MAIN, FILES, own=False).run()
    assert outcome.outputs == [[1, 1]], outcome.error
    assert "no dashboard: the scheduler's environment has no bokeh" in outcome.log


def test_a_function_of_the_task_s_module_needs_what_that_imports_and_the_error_says_what_to_move(job):
    outcome = job(MAIN, FILES, own=True).run()
    assert "found [1, 1]" in outcome.log
    assert outcome.error is not None, outcome.log
    assert "module 'flyte' is not on the node" in outcome.error.message
    assert "move what runs on the nodes out of wf.py, which imports it" in outcome.error.message


@pytest.mark.skipif(sys.platform != "linux", reason="needs a directory that root can't write to: /proc")
def test_nodes_whose_working_directory_is_read_only_get_the_code(job):
    read_only = job(MAIN, FILES, own=False)
    read_only.start_runner()
    read_only.start_scheduler(cwd=Path("/proc"))
    read_only.start_worker(cwd=Path("/proc"))
    outcome = read_only.wait()
    assert outcome.outputs == [[1, 1]], outcome.error


def test_an_image_with_other_code_is_an_error_not_to_retry_with_a_table(job):
    stale = job(MAIN, FILES, mode="none", own=False)
    image = copytree(stale.submission.image, stale.submission.image.with_name("stale"))
    (image / "mylib" / "parts.py").write_text("def one():\n    return 0\n")
    stale.images["worker"] = image
    outcome = stale.run()
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("EnvironmentMismatch", False)
    table = [[cell.strip() for cell in line.split("|")] for line in outcome.error.message.splitlines()]
    assert ["module", "driver", "scheduler", "workers (1)"] in table
    (row,) = [row for row in table if row[0] == "mylib.parts"]
    assert row[1] == row[2] != row[3]
    assert not [row for row in table if row[0] in {"wf", "mylib"}]


def test_late_workers_of_a_wrong_image_are_no_bad_luck_that_a_retry_could_mend(job):
    mixed = job(MAIN, FILES, own=False)
    image = mixed.images["worker"] = mixed.submission.directory / "old"
    info = image / "cloudpickle-0.1.dist-info" / "METADATA"
    info.parent.mkdir(parents=True)
    info.write_text("Metadata-Version: 2.1\nName: cloudpickle\nVersion: 0.1\n")
    mixed.start_scheduler()
    runner = mixed.start_runner()
    mixed.until(lambda: ": compare " in runner.log)
    for _ in range(3):
        mixed.start_worker()
    outcome = mixed.wait(timeout=60)
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("EnvironmentMismatch", False)
    assert "cloudpickle 0.1 (driver " in outcome.error.message
    assert "use one image for all nodes" in outcome.error.message
