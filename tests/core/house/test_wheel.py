"""The wheel holds the package, its licence and its metadata, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_every_file_of_the_package_and_no_other(content: set[str]) -> None:
    core = ROOT / "core"
    found = (path for path in core.glob("daskbridge/**/*") if path.is_file() and path.suffix != ".pyc")
    files = {path.relative_to(core).as_posix() for path in found}
    files = {name for name in files if "/." not in name}  # caches of tools

    assert {name for name in content if ".dist-info/" not in name} == files
    assert "daskbridge/py.typed" in files


def test_it_holds_no_tests_and_only_python_beside_the_marker(content: set[str]) -> None:
    shipped = [PurePosixPath(name) for name in content if ".dist-info/" not in name]

    assert [path for path in shipped if path.name.startswith(("test_", "conftest"))] == []
    assert {path.suffix for path in shipped} <= {".py", ".typed", ".yaml", ".json"}


def test_its_metadata_names_commands_plugins_and_licence(content: set[str]) -> None:
    metadata = {name.partition(".dist-info/")[2] for name in content if ".dist-info/" in name}

    assert metadata == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
