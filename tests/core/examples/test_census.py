"""The census counts right: its figures are compared with a count of keywords by ``tokenize``."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[3] / "examples" / "census" / "main.py"
#: More files than eight tasks take: the tree gets a second level.
SMALL_FILES = 1700

NESTED = """
match 1:
    case 1:
        import a
    case _:
        try:
            from b import c
        except* ValueError:
            class D: pass
        else:
            def e(): pass
        finally:
            with f as g:
                for h in i:
                    while j:
                        async def k(): pass
                    else:
                        import l
                if m: pass
                elif n:
                    class O: pass
"""


def census(*arguments, cwd):
    command = [sys.executable, str(MAIN), *arguments]
    return subprocess.run(command, cwd=cwd, check=False, timeout=100, capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for package in (json, asyncio):
        source = Path(package.__file__).parent
        shutil.copytree(source, root / source.name, ignore=shutil.ignore_patterns("*.pyc"))
    small = root / "small" / "deep"
    small.mkdir(parents=True)
    for number in range(SMALL_FILES):
        (small / f"m{number}.py").write_text("import a, b\n\n\nasync def f(): return lambda: 1\n")
    (root / "alone.py").write_bytes(b"# coding: latin-1\nclass \xe9: pass\npattern = '\\d'")
    (root / "empty.py").touch()
    (root / "nested.py").write_text(NESTED)
    (root / "wrong.py").write_text("def f(:\n")
    (root / "null.py").write_bytes(b"a = 1\n\0\n")
    (root / "data.txt").write_text("import this\n")
    left_out = root / "site-packages"
    left_out.mkdir()
    (left_out / "elsewhere.py").write_text("import this\n")
    return root


def expected(root):
    """Return package -> files, bytes, lines, functions, classes, imports, broken."""
    figures = {}
    for path in root.rglob("*.py"):
        if "site-packages" in path.parts:
            continue
        code = path.read_bytes()
        broken = path.name in {"wrong.py", "null.py"}
        words = Counter()
        if not broken:
            tokens = tokenize.tokenize(io.BytesIO(code).readline)
            words = Counter(token.string for token in tokens if token.type == tokenize.NAME)
        one = [
            1,
            len(code),
            len(code.splitlines()),
            words["def"],
            words["class"],
            words["import"],
            int(broken),
        ]
        package = path.relative_to(root).parts[0].removesuffix(".py")
        figures[package] = [a + b for a, b in zip(figures.get(package, [0] * 7), one, strict=True)]
    return figures


def rows(printed):
    table = printed.partition("package  ")[2].partition("\n\n")[0].splitlines()[1:]
    split = [re.split(r"\s{2,}", line) for line in table]
    return {cells[0]: [int(cell.replace(",", "")) for cell in cells[-7:]] for cells in split}


def test_the_table_says_what_the_files_hold(tree):
    done = census("--root", tree.name, cwd=tree.parent)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    figures = expected(tree)
    totals = [sum(column) for column in zip(*figures.values(), strict=True)]
    assert rows(done.stdout) == figures | {f"{len(figures)} packages": totals}
    assert totals[0] > SMALL_FILES


def test_a_directory_without_python_files_is_refused_before_a_cluster_starts(tmp_path):
    done = census("--root", str(tmp_path), cwd=tmp_path)

    assert done.returncode == 2
    assert f"no Python file below {tmp_path}" in done.stderr
    assert "dashboard" not in done.stdout
