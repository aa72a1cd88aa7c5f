"""The adapter's wheel holds the adapter, names what it needs and offers; its page and docstrings are true."""

from __future__ import annotations

import doctest
import re
from email import message_from_bytes
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from tests.wheels import built

from .local import FLYTE, Project

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "adapters" / "flyte"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build the wheel of a project, as :func:`tests.wheels.built` does."""
    return lambda project: built(project, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(build):
    return build(ADAPTER)


def test_it_holds_the_package_and_the_plugin_and_nothing_else(wheel):
    files, info = wheel
    package = {
        f"daskbridge_flyte/{path.name}" for path in ADAPTER.glob("daskbridge_flyte/*") if path.is_file()
    }
    assert "daskbridge_flyte/py.typed" in package
    known = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert set(files) == package | {"daskbridge_flyte_plugin.py"} | {f"{info}/{name}" for name in known}


def test_it_is_found_by_daskbridge_and_by_flyte(wheel):
    files, info = wheel
    assert files[f"{info}/entry_points.txt"].decode() == dedent("""\
        [daskbridge]
        flyte = daskbridge_flyte_plugin

        [flyte.plugins.types]
        daskbridge = daskbridge_flyte
    """)


def test_it_needs_the_core_and_flyte(wheel):
    files, info = wheel
    metadata = message_from_bytes(files[f"{info}/METADATA"])
    assert [re.match(r"[\w-]+", each)[0] for each in metadata.get_all("Requires-Dist")] == [
        "daskbridge",
        "flyte",
    ]
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_core_offers_it_as_an_extra(build):
    files, info = build(ROOT)
    metadata = message_from_bytes(files[f"{info}/METADATA"])
    assert "flyte" in metadata.get_all("Provides-Extra")
    needed = [each for each in metadata.get_all("Requires-Dist") if "extra == 'flyte'" in each]
    assert [re.match(r"[\w-]+", each)[0] for each in needed] == ["daskbridge-flyte"]


def test_the_example_of_its_page_runs_as_the_page_says(tmp_path):
    page = (ADAPTER / "README.md").read_text("utf-8")
    (example,) = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    (command,) = re.findall(r"(?m)^    flyte (.*)$", page)
    project = Project(tmp_path)
    project.write("squares.py", example)
    _, printed = project.run(FLYTE, *command.split())
    (result,) = re.findall(r"The result is `(.*?)`", page)
    assert f"o0={result}" in printed


@pytest.mark.parametrize("module", sorted(path.stem for path in ADAPTER.glob("daskbridge_flyte/_[a-z]*.py")))
def test_the_examples_of_a_docstring_hold(module):
    result = doctest.testmod(import_module(f"daskbridge_flyte.{module}"), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
