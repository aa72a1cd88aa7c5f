"""Parse files and count what they define; runs on the workers, which get this module by bundle only."""

from __future__ import annotations

import ast
import gc
import warnings
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from census.files import Package, Source

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Where a statement holds further ones.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class Counts:
    """Hold the figures of one or more files; ``broken`` files could not be parsed."""

    files: int = 0
    bytes: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    broken: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


Tally: TypeAlias = dict[Package, Counts]


def count_batch(sources: Iterable[Source]) -> Tally:
    """Parse the files and return the figures of each package."""
    gc.disable()  # syntax trees have no cycles; looking for some takes a third of the time
    try:
        return merge([{source.package: count(Path(source.path).read_bytes())} for source in sources])
    finally:
        gc.enable()


def count(code: bytes) -> Counts:
    """Parse one file's content: functions (also methods, not lambdas), classes, import statements."""
    lines = code.count(b"\n") + (not code.endswith(b"\n") and bool(code))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old packages have invalid escapes; Python would tell of each
            kinds = Counter(map(type, _statements(ast.parse(code))))
    except (SyntaxError, ValueError, RecursionError):
        return Counts(files=1, bytes=len(code), lines=lines, broken=1)
    return Counts(
        files=1,
        bytes=len(code),
        lines=lines,
        functions=kinds[ast.FunctionDef] + kinds[ast.AsyncFunctionDef],
        classes=kinds[ast.ClassDef],
        imports=kinds[ast.Import] + kinds[ast.ImportFrom],
    )


def _statements(tree: ast.AST) -> list[ast.AST]:
    """Return the tree's statements at every depth; unlike ``ast.walk``, pass over expressions."""
    found = [tree]
    for node in found:  # grows while it is walked
        for block in BLOCKS:
            found += getattr(node, block, ())
    return found


def merge(tallies: Iterable[Tally]) -> Tally:
    """Add up the figures of each package."""
    total: Tally = {}
    for tally in tallies:
        for package, counts in tally.items():
            total[package] = total.get(package, Counts()) + counts
    return total
