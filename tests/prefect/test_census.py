"""The census in a Prefect flow: the same functions and the same topology file as in plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: More files than one task takes.
FILES = 250


@pytest.mark.example
def test_the_census_runs(tmp_path, server):
    package = tmp_path / "tree" / "m"
    package.mkdir(parents=True)
    for number in range(FILES):
        (package / f"m{number}.py").write_text("import a\ndef f(): pass\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "census" / "prefect_census.py"), str(package.parent)],
        cwd=tmp_path,
        env=os.environ | server.environ,
        check=False,
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *table, lines = done.stdout.splitlines()
    assert table[-1].split() == ["1", "packages", "250", "5,750", "500", "250", "0", "250", "0"]
    assert lines == "500 lines"
    assert "Dask cluster" in done.stderr
