"""A tutorial's reader gets what the page shows: files are written, commands run, output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[3] / "docs" / "tutorial"
BLOCK = re.compile(r"(?ms)^```(?P<kind>python notest|toml|console)\n(?P<text>.*?)^```$")


@pytest.fixture
def reader(tmp_path):
    """Give a directory, and a way to run commands there in an environment of the reader's own."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # .pth files are not read there: what is installed as editable has to be found, too
    (packages / "installed.pth").write_text("\n".join(path for path in sys.path if path))
    for name, module in [("daskbridge", "daskbridge.cli"), ("pip", "pip._internal.cli.main")]:
        script = place / "bin" / name
        script.write_text(f"#!{place}/bin/python\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    directory = tmp_path / "empty"
    directory.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environ |= {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "DASK_DASKBRIDGE__DISPLAY": "on",
        "COLUMNS": "200",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which means that there is none
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }

    def run(command):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=directory,
            env=environ,
            check=False,
            timeout=200,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout.splitlines()

    return directory, run


def missing(expected, lines):
    """Return the expected lines that no line matches; ``...`` stands for anything."""
    patterns = [re.sub(r"([*?[])", r"[\1]", line).replace("...", "*") for line in expected]
    return [pattern for pattern in patterns if not any(fnmatchcase(line, pattern) for line in lines)]


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize(("page", "number"), [("first-cluster", 5), ("first-adapter", 5)])
def test_a_tutorial_shows_what_happens(reader, page, number):
    directory, run = reader
    commands = 0
    for block in BLOCK.finditer((TUTORIALS / f"{page}.md").read_text("utf-8")):
        first, *lines = block["text"].splitlines()
        if block["kind"] != "console":
            (directory / first.removeprefix("# ")).write_text(block["text"])
            continue
        output, pending = [], []
        for line in [first, *lines]:
            if line.startswith("$ "):
                assert not missing(pending, output), "\n".join(output)
                output, pending = run(line.removeprefix("$ ")), []
                commands += 1
            else:
                pending.append(line)
        assert pending
        assert not missing(pending, output), "\n".join([*missing(pending, output), "IN", *output])

    assert commands == number
