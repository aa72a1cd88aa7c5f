"""The tutorial's reader gets what the page shows: files are written, commands run, output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-cluster.md"
BLOCK = re.compile(r"(?ms)^```(?P<kind>python notest|console)\n(?P<text>.*?)^```$")
BIN = Path(sys.executable).parent


def shown(command, cwd):
    environ = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "DASK_DASKBRIDGE__DISPLAY": "on"}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=environ,
        check=False,
        timeout=60,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.splitlines()


def missing(expected, lines):
    """Return the expected lines that no line matches; ``...`` stands for anything."""
    patterns = [re.sub(r"([*?[])", r"[\1]", line).replace("...", "*") for line in expected]
    return [pattern for pattern in patterns if not any(fnmatchcase(line, pattern) for line in lines)]


def test_the_tutorial_shows_what_happens(tmp_path):
    commands = 0
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        first, *lines = block["text"].splitlines()
        if block["kind"] != "console":
            (tmp_path / first.removeprefix("# ")).write_text(block["text"])
            continue
        output, pending = [], []
        for line in [first, *lines]:
            if line.startswith("$ "):
                assert not missing(pending, output), "\n".join(output)
                output, pending = shown(line.removeprefix("$ "), tmp_path), []
                commands += 1
            else:
                pending.append(line)
        assert pending
        assert not missing(pending, output), "\n".join([*missing(pending, output), "IN", *output])

    assert commands == 5
