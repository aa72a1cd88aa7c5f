"""Find which modules of others the files of a bundle import."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daskbridge.code._scan import Selection
    from daskbridge.code._walk import File

#: Bytes of source that are looked at, and of one file: what is longer was hardly written by hand.
MOST, LONGEST = 8 << 20, 1 << 20
#: Files that no node imports: tests, documentation, builds.
ASIDE = re.compile(r"(^|/)(tests?|docs?)/|(^|/)(test_[^/]*|[^/]*_test|conftest|setup|noxfile)\.py$")
#: Whatever may be an import; words in texts are found as well.
_MAYBE = re.compile(rb"\bfrom[ \t]+([\w.]+)[ \t]+import\b|\bimport[ \t]+([\w. \t,]+)")
#: An escape sequence. Python warns of unknown ones, and their meaning is of no interest here.
_ESCAPE = re.compile(rb"\\(?:N\{[^}\n]*\}|[^\r\n])")
_EXPECTED = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def imports(selection: Selection, concern: Callable[[str], str | None]) -> dict[str, bool]:
    """Return what the files of ``selection`` import; True for what they can't do without.

    ``concern`` maps a module's full name to the name under which it is listed, or to None if it is of
    no interest. Left out are, too, relative imports, the standard library, what the bundle ships and
    what only a type checker imports. The code can do without an import that it expects to fail, as
    in a ``try`` that catches ``ImportError``. Blocks: reads files, and parses only those that may
    tell something new.
    """
    own = {*shipped(selection), *sys.stdlib_module_names}
    known: dict[str, bool] = {}

    def listed(name: str) -> str | None:
        return None if name.partition(".")[0] in own else concern(name)

    for file in _files(selection):
        try:
            text = Path(file.source).read_bytes()
        except OSError:  # it was there when it was packed; without it less is compared
            continue
        candidates = {listed(name) for name in _candidates(text)} - {None}
        if all(known.get(str(name)) for name in candidates):
            continue
        for full, needed in _imports(text):
            if name := listed(full):
                known[name] = known.get(name, False) or needed
    return known


def shipped(selection: Selection) -> set[str]:
    """Return the top-level names that nodes import from the bundle."""
    places = [PurePosixPath(entry) for entry in selection.sys_path]
    names = set()
    for file in selection.files:
        path = PurePosixPath(file.path)
        for place in places:
            if path.is_relative_to(place):
                names.add(path.relative_to(place).parts[0].partition(".")[0])
    return names


def _files(selection: Selection) -> Iterator[File]:
    left = MOST
    for file in selection.files:
        if file.path.endswith(".py") and file.size <= LONGEST and not ASIDE.search(file.path):
            left -= file.size
            if left < 0:
                return
            yield file


def _candidates(text: bytes) -> Iterator[str]:
    for origin, several in _MAYBE.findall(text):
        for words in (origin or several).split(b","):
            name = words.split()[:1]
            if name and not name[0].startswith(b"."):
                yield name[0].decode("utf-8", "replace")


def _imports(text: bytes) -> Iterator[tuple[str, bool]]:
    try:
        tree = ast.parse(_ESCAPE.sub(b"__", text))
    except (SyntaxError, ValueError, RecursionError):  # no module of this Python
        return
    yield from _of(tree.body, needed=True)


def _of(statements: Iterable[ast.stmt], *, needed: bool) -> Iterator[tuple[str, bool]]:
    for statement in statements:
        match statement:
            case ast.Import(names=names):
                yield from ((alias.name, needed) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((f"{module}.{alias.name}", needed) for alias in names)
            case _:
                for block, sure in _blocks(statement):
                    yield from _of(block, needed=needed and sure)


def _blocks(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Yield the blocks of a statement; False for those in which an import may fail."""
    match statement:
        case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            yield statement.orelse, True
        case ast.Try(handlers=handlers):
            sure = not any(handler.type is None or _expects(handler.type) for handler in handlers)
            yield statement.body, sure
            yield from ((handler.body, sure) for handler in handlers)
            yield [*statement.orelse, *statement.finalbody], True
        case ast.With(items=items):
            yield statement.body, not any(_expects(item.context_expr) for item in items)
        case ast.Match(cases=cases):
            yield from ((case.body, True) for case in cases)
        case _:
            yield from ((getattr(statement, part, []), True) for part in ("body", "orelse"))


def _expects(expression: ast.expr) -> bool:
    """Tell whether an expression names an error that a failing import raises."""
    return any(isinstance(node, ast.Name) and node.id in _EXPECTED for node in ast.walk(expression))
