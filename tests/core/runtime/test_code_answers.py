"""What a plugin may answer to the question which code the nodes get, on the default cluster."""

from __future__ import annotations

from textwrap import indent

import pytest

PLUGIN = """
import sys
from daskbridge.plugins import hookimpl

asked = []

@hookimpl
def daskbridge_code_source(run):
    asked.append(run.entry)
    ANSWER
"""
MAIN = """
    import acme_plugin, flow, tempfile
    (PROJECT.with_name("temporary")).mkdir()
    tempfile.tempdir = str(PROJECT.with_name("temporary"))
    told = flow.crunch()
    told["asked"] = acme_plugin.asked
    told["left"] = [path.name for path in PROJECT.with_name("temporary").iterdir() if "bundle" in path.name]
    report(**told)
"""
FLOW = """
from pathlib import Path
from daskbridge import Dask, on_dask

def by_value():
    def imported():
        import helper
        return helper.answer()
    return imported

@on_dask(Dask())
def crunch():
    from distributed import get_client
    here = Path(__file__).parent
    here.rename(here.with_name("hidden"))
    future = get_client().submit(by_value())
    error = future.exception()
    return {"answer": None if error else future.result()}
"""
FILES = {
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[daskbridge]\nacme = acme_plugin\n",
    "flow": FLOW,
    "helper": "def answer():\n    return 42\n",
}


def answering(drive, answer, before=""):
    plugin = PLUGIN.replace("    ANSWER", indent(answer, "    "))
    return drive(before + MAIN, **FILES, acme_plugin=plugin)


ADOPT = """
import tarfile
from pathlib import Path
from daskbridge.code import adopt_archive
root = Path(__file__).parent
with tarfile.open(root / "fast.tar.gz", "w:gz") as archive:
    archive.add(root / "helper.py", "helper.py")
    archive.add(root / "flow.py", "flow.py")
return adopt_archive(root / "fast.tar.gz", root=root)
"""


STORE = """
    import dask.config
    dask.config.set({"daskbridge.bundle-store": "file://" + str(PROJECT.with_name("store"))})
"""


@pytest.mark.parametrize(("before", "stored"), [("", 0), (STORE, 1)], ids=["scheduler", "store"])
def test_an_archive_of_the_orchestrators_reaches_the_nodes_and_its_bundle_goes_with_the_run(
    drive, tmp_path, before, stored
):
    driver = answering(drive, ADOPT, before)
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"answer": 42, "asked": ["flow"], "left": []}
    assert len([*tmp_path.glob("store/*.tar.*")]) == stored


def test_false_is_an_answer_nothing_ships(drive):
    driver = answering(drive, "return False")
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told["answer"] is None


REQUIRE = "from daskbridge.code import InstalledCode\nreturn InstalledCode([run.entry])"


def test_code_that_should_be_in_the_image_and_is_not_ends_the_run(drive):
    driver = answering(drive, REQUIRE)
    assert next(driver.reports(), None) is None
    code, errors = driver.wait()
    assert code == 1
    row = next(line for line in errors.splitlines() if line.startswith("flow "))
    assert row.split("|")[2].strip() == "missing"


@pytest.mark.parametrize(("policy", "warned"), [("warn", True), ("ignore", False)], ids=["warned", "ignored"])
def test_the_check_of_environments_decides_about_installed_code_too(drive, policy, warned):
    setting = (
        f"\n    import dask.config\n    dask.config.set({{'daskbridge.environment-check': {policy!r}}})\n"
    )
    driver = answering(drive, REQUIRE, before=setting)
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert (code, told["answer"]) == (0, None)
    assert ("the nodes' image has other code than the driver" in errors) is warned
