"""Every example in the documentation runs: code blocks of pages, docstrings, examples/."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from tests.pages import DOCUMENTS, ROOT, run, script, write_files

import daskbridge

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [page for page in DOCUMENTS if script(page.read_text("utf-8")).strip()]
EXAMPLES = sorted(ROOT.glob("examples/*/main.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(daskbridge.__path__, "daskbridge.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    write_files(text, tmp_path)
    path = tmp_path / f"{page.stem.lower().replace('-', '_')}.py"
    path.write_text(script(text))

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
