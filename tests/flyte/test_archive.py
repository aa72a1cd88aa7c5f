"""The archive that Flyte gave the task is fetched again where it is not found any more."""

from __future__ import annotations

import pytest

MAIN = """
    import glob, pathlib
    import mylib
    env = environment(1)

    if "DASK_SCHEDULER_ADDRESS" in os.environ:
        {upset}

    @env.task
    async def main() -> int:
        return distributed.get_client().submit(mylib.one).result()
"""
FILES = {"mylib.py": "def one():\n    return 1\n"}
DELETED = "[file.unlink() for file in pathlib.Path().glob('fast*')]"
#: Also where Flyte stores it; the variable is the task's.
NOWHERE = f"{DELETED}; [os.unlink(file) for file in glob.glob(os.environ['STORED'])]"


@pytest.mark.parametrize("upset", [DELETED, "os.chdir('/')"], ids=["deleted", "working directory changed"])
def test_a_module_that_upsets_the_archive_s_place_has_its_code_on_the_nodes(job, upset):
    outcome = job(MAIN.format(upset=upset), FILES).run()
    assert outcome.outputs == [1], outcome.error


def test_an_archive_that_can_t_be_fetched_is_an_error_to_retry(job):
    lost = job(MAIN.format(upset=NOWHERE), FILES)
    stored = lost.submission.directory / "fast*"
    assert list(stored.parent.glob(stored.name))
    lost.start_runner(env={"STORED": str(stored)})
    outcome = lost.wait()
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.recoverable) == ("CodeNotDelivered", True)
    assert "nor can it be fetched" in outcome.error.message
