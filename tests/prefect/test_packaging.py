"""The adapter's wheel holds the adapter, names what it needs and offers; its page and docstrings are true."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from email import message_from_bytes
from importlib import import_module
from pathlib import Path

import pytest
from tests.wheels import built

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "adapters" / "prefect"
MODULES = sorted(path.stem for path in ADAPTER.glob("daskbridge_prefect/_[a-z]*.py"))


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build the wheel of a project, as :func:`tests.wheels.built` does."""
    return lambda project: built(project, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(build):
    return build(ADAPTER)


def test_it_holds_the_package_and_the_plugin_and_nothing_else(wheel):
    files, info = wheel
    found = ADAPTER.glob("daskbridge_prefect/**/*")
    package = {str(path.relative_to(ADAPTER)) for path in found if path.is_file() and path.suffix != ".pyc"}
    assert "daskbridge_prefect/py.typed" in package
    known = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert set(files) == package | {"daskbridge_prefect_plugin.py"} | {f"{info}/{name}" for name in known}


def test_it_is_found_by_daskbridge(wheel):
    files, info = wheel
    assert files[f"{info}/entry_points.txt"].decode() == "[daskbridge]\nprefect = daskbridge_prefect_plugin\n"


def test_it_needs_the_core_and_prefect(wheel):
    files, info = wheel
    metadata = message_from_bytes(files[f"{info}/METADATA"])
    assert [re.match(r"[\w-]+", each)[0] for each in metadata.get_all("Requires-Dist")] == [
        "daskbridge",
        "prefect",
    ]
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_core_offers_it_as_an_extra(build):
    files, info = build(ROOT)
    metadata = message_from_bytes(files[f"{info}/METADATA"])
    assert "prefect" in metadata.get_all("Provides-Extra")
    needed = [each for each in metadata.get_all("Requires-Dist") if "extra == 'prefect'" in each]
    assert [re.match(r"[\w-]+", each)[0] for each in needed] == ["daskbridge-prefect"]


def test_the_example_of_its_page_runs_as_the_page_says(tmp_path, server, monkeypatch):
    page = (ADAPTER / "README.md").read_text("utf-8")
    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    (command,) = re.findall(r"(?m)^    python (\w+\.py)$", page)
    (result,) = re.findall(r"It prints `(.*?)`", page)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / command).write_text(example)
    done = subprocess.run([sys.executable, command], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == result


@pytest.mark.parametrize("statement", ["import daskbridge_prefect_plugin", "import daskbridge_prefect"])
def test_importing_it_imports_no_prefect(statement):
    probe = f"import sys\n{statement}\nprint([name for name in sys.modules if name.startswith('prefect')])"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_process_that_does_not_use_prefect_does_not_import_it_for_a_cluster():
    probe = """
import sys
from daskbridge import Dask, transient
with transient(Dask(), code=False):
    print([name for name in sys.modules if name.partition(".")[0] == "prefect"])
"""
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module", sorted(path.stem for path in ADAPTER.glob("daskbridge_prefect/_[a-z]*.py"))
)
def test_the_examples_of_a_docstring_hold(module):
    result = doctest.testmod(import_module(f"daskbridge_prefect.{module}"), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
