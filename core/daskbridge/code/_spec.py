"""What a user says about the code that ships."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Root:
    """Name a directory that ships and which of its sub-directories go on the nodes' ``sys.path``.

    ``sys_path`` is relative to ``path`` and in order; ``""`` is the directory itself. Raises
    :class:`~daskbridge.errors.BundleError` for an entry that leaves the directory.

    >>> Root("project", sys_path=("src", "")).sys_path
    ('src', '')
    """

    path: Path
    sys_path: tuple[str, ...]

    def __init__(self, path: str | os.PathLike[str], sys_path: Iterable[str] = ("",)) -> None:
        entries = []
        for given in (sys_path,) if isinstance(sys_path, str) else sys_path:
            entry = PurePosixPath(given)
            if entry.is_absolute() or ".." in entry.parts:
                msg = f"sys_path entry {given!r} of root {os.fspath(path)!r} must be a directory inside it"
                raise BundleError(msg, hint="name it relative to the root, for example 'src'")
            entries.append("" if str(entry) == "." else str(entry))
        object.__setattr__(self, "path", Path(os.path.abspath(path)))  # noqa: PTH100 -- resolve() follows links
        object.__setattr__(self, "sys_path", tuple(dict.fromkeys(entries)))


@dataclass(frozen=True, init=False)
class CodeSpec:
    """Describe the code that ships: roots, and what to leave out of them or bring back.

    ``exclude`` and ``include`` are gitignore patterns relative to each root. ``include`` brings
    back what ignore rules left out (a pattern without a slash, only in directories that ship),
    never a secret: those need their path or file name in ``allow``, without wildcards.
    ``modules`` maps an import name to a file: a script that travels under the name by which the
    driver imported it. Raises :class:`~daskbridge.errors.BundleError` for a name that can't be
    one.

    >>> CodeSpec(["project"], exclude=["*.csv"], modules={"prefix_x": "flow.py"}).exclude
    ('*.csv',)
    """

    roots: tuple[Root, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    modules: Mapping[str, Path] = field(default_factory=dict)

    def __init__(
        self,
        roots: Iterable[Root | str | os.PathLike[str]],
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        allow: Iterable[str] = (),
        modules: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> None:
        for name in modules or ():
            if not name.isidentifier():
                msg = f"modules: {name!r} is not the name of a top-level module"
                raise BundleError(msg, hint="for a dotted name, add the directory above its package to roots")
        for pattern in allow:
            if any(wild in pattern for wild in "*?["):
                msg = f"allow: {pattern!r} has a wildcard; a secret ships only by its own name"
                raise BundleError(msg, hint="name each file, relative to its root")
        made = tuple(root if isinstance(root, Root) else Root(root) for root in roots)
        object.__setattr__(self, "roots", made)
        object.__setattr__(self, "include", tuple(include))
        object.__setattr__(self, "exclude", tuple(exclude))
        object.__setattr__(self, "allow", tuple(pattern.strip("/") for pattern in allow))
        object.__setattr__(self, "modules", {name: Path(path) for name, path in (modules or {}).items()})
