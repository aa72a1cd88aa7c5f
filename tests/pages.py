"""The code of the documentation's pages: what tests run, and where."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"(?ms)^(?P<indent> *)```python(?P<flag>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$")
#: The first line of a block that is a file of its own.
FILE = re.compile(r"# ([\w/]+\.py)\n")
#: What a block's flag says: who runs it. A block without a flag is run in the core's own environment.
FLAGS = {
    "notest": "nobody: its first line gives the reason",
    "flyte": "tests/flyte/test_docs.py: it needs Flyte, which the core's environment lacks",
    "prefect": "tests/prefect/test_docs.py: it needs Prefect, which the core's environment lacks",
}


def blocks(page: str) -> list[tuple[str, str, int]]:
    """Return each block of Python in a page: its flag, its code, the number of lines above it."""
    found = []
    for block in BLOCK.finditer(page):
        flag, code = block["flag"].strip(), dedent(block["code"])
        assert not flag or flag in FLAGS, f"unknown flag {flag!r}; known: {', '.join(FLAGS)}"
        if flag == "notest":
            assert code.startswith("#"), f"the first line of a notest block gives the reason: {code}"
        found.append((flag, code, page.count("\n", 0, block.start("code"))))
    return found


def script(page: str, flag: str = "") -> str:
    """Return the page's code with that flag at its own line numbers: a traceback points into the page.

    Modules of packages are left out: they run where they are imported.
    """
    lines = [""] * (page.count("\n") + 1)
    for found, code, above in blocks(page):
        file = FILE.match(code)
        if found == flag and not (file and "/" in file[1]):
            lines[above : above + code.count("\n")] = code.splitlines()
    return "\n".join(lines)


def write_files(page: str, directory: Path, flag: str = "") -> None:
    """Write the files that a page shows with that flag."""
    for found, code, _ in blocks(page):
        if found == flag and (file := FILE.match(code)):
            path = directory / file[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)


def run(path: Path, cwd: Path, seconds: int) -> None:
    """Run a program of the documentation; fail with its output if it fails."""
    done = subprocess.run(
        [sys.executable, path], cwd=cwd, timeout=seconds, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
