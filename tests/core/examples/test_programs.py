"""The small programs of ``examples/`` run and print what the pages say."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
CLUSTER = EXAMPLES / "census" / "cluster.yaml"
RUN = "from daskbridge.cli import main; main()"

PROGRAMS = {
    "plain_python.py": ([], "168 primes below 1000\n"),
    "any_program.py": (
        ["-c", RUN, "run", "--cluster", str(CLUSTER), "--json", "--", sys.executable],
        f"2 workers, Python {platform.python_version()}\n",
    ),
}


def test_every_program_is_run_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_it_says(name, tmp_path):
    before, printed = PROGRAMS[name]
    program = tmp_path / name
    program.write_text((EXAMPLES / name).read_text())

    done = subprocess.run(
        [sys.executable, *before, str(program)],
        cwd=tmp_path,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, printed), done.stderr
