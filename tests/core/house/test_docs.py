"""Every example in the documentation runs: code blocks of pages, docstrings, examples/."""

from __future__ import annotations

import doctest
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

import daskbridge

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"(?ms)^(?P<indent> *)```python(?P<flag>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$")
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [path for path in DOCUMENTS if BLOCK.search(path.read_text())]
EXAMPLES = sorted(ROOT.glob("examples/*/main.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(daskbridge.__path__, "daskbridge.")
    if not module.name.endswith("__main__")
)


def script(page: str) -> str:
    """Return the page's code at its own line numbers, so that a traceback points into the page."""
    lines = [""] * (page.count("\n") + 1)
    for block in BLOCK.finditer(page):
        code = dedent(block["code"]).splitlines()
        if block["flag"].strip() == "notest":
            assert code[0].startswith("#"), f"the first line of a notest block gives the reason: {code[0]}"
            continue
        first = page.count("\n", 0, block.start("code"))
        lines[first : first + len(code)] = code
    return "\n".join(lines)


def run(path: Path, cwd: Path, seconds: int) -> None:
    done = subprocess.run(
        [sys.executable, path], cwd=cwd, timeout=seconds, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{page.stem.lower().replace('-', '_')}.py"
    path.write_text(script(page.read_text()))

    run(path, tmp_path, seconds=100)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_docstring_hold(module: str) -> None:
    result = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)

    assert result.failed == 0


@pytest.mark.example
@pytest.mark.timeout(300)
@pytest.mark.parametrize("main", EXAMPLES, ids=lambda main: main.parent.name)
def test_an_example_runs(main: Path, tmp_path: Path) -> None:
    run(main, tmp_path, seconds=280)
