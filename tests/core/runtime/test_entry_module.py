"""A file that an orchestrator loads under a name of its own: nodes import it by that name."""

from __future__ import annotations

import pytest

#: Load a file as orchestrators do, call its function, and report.
MAIN = """
    import importlib.util, types
    sys.path.append(str(PROJECT.with_name("site-packages")))

    def load(name, file):
        for end in (number for number, letter in enumerate(name) if letter == "." and PARENTS):
            sys.modules[name[:end]] = types.ModuleType(name[:end])
        spec = importlib.util.spec_from_file_location(name, file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    package = PROJECT / "jobs" / "packed"
    flow = load(NAME, package / "__init__.py" if NAME == "packed_x" else PROJECT / "jobs" / "flow.py")
    try:
        report(answer=flow.crunch(), notes=[])
    except Exception as error:
        report(answer=None, notes=error.__notes__)
"""
FLOW = """
from pathlib import Path
from distributed import get_client
from daskbridge import Dask, on_dask
NEEDS

def part(x):
    return [__name__, x]

@on_dask(Dask())
def crunch():
    here = Path(__file__).resolve().parent.parent
    while here.name != "project":
        here = here.parent
    here.rename(here.with_name("hidden"))
    return get_client().submit(part, 1).result()
"""


def run(drive, tmp_path, name, *, parents=True, **files):
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "orchestra.py").touch()
    driver = drive(f"\n    NAME, PARENTS = {name!r}, {parents}" + MAIN, **{"pyproject.toml": ""} | files)
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    return told


@pytest.mark.parametrize("name", ["unusual_prefix_flow", "loaded.under.another"])
def test_it_travels_under_its_import_name(drive, tmp_path, name):
    told = run(drive, tmp_path, name, **{"jobs/flow.py": FLOW.replace("NEEDS", "")})
    assert told["answer"] == [name, 1]


def test_a_name_by_which_not_even_the_driver_can_import_it_is_explained(drive, tmp_path):
    files = {"jobs/flow.py": FLOW.replace("NEEDS", "")}
    [note] = run(drive, tmp_path, "loaded.under.another", parents=False, **files)["notes"]
    assert "under the name 'loaded.under.another', by which this process can't import it either" in note


def test_a_package_travels_as_a_whole(drive, tmp_path):
    text = FLOW.replace("NEEDS", "from . import other")
    files = {"jobs/packed/__init__.py": text, "jobs/packed/other.py": ""}
    assert run(drive, tmp_path, "packed_x", **files)["answer"] == ["packed_x", 1]


def test_what_it_imports_and_nodes_lack_is_told_with_file_and_line(drive, tmp_path):
    text = FLOW.replace("NEEDS", "import orchestra")
    [note] = run(drive, tmp_path, "unusual_prefix_flow", **{"jobs/flow.py": text})["notes"]
    file = tmp_path / "project" / "jobs" / "flow.py"
    assert "module 'orchestra' is not on the node" in note
    assert note.endswith(f"move what runs on the nodes out of {file}, which imports it in line 5")


def test_what_a_module_of_the_project_imports_is_told_with_its_own_name(drive, tmp_path):
    files = {"jobs/flow.py": FLOW.replace("NEEDS", "import parts\npart = parts.part")}
    files["parts"] = "import json\nimport orchestra\ndef part(x):\n    return x\n"
    files["jobs/flow.py"] = files["jobs/flow.py"].replace("def part(x):\n    return [__name__, x]\n", "")
    [note] = run(drive, tmp_path, "unusual_prefix_flow", **files)["notes"]
    assert note.endswith("out of parts.py, which imports it in line 2")
