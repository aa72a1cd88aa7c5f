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

    ``sys_path`` is relative to ``path`` and in order; ``""`` is the directory itself. With
    ``package`` the directory is that package, whatever its own name is, and nodes import from
    nothing else in it. Raises :class:`~daskbridge.errors.BundleError` for an entry that leaves the
    directory, and for a name that can't be a package's.

    >>> Root("project", sys_path=("src", "")).sys_path
    ('src', '')
    >>> Root("code/shop_v2", package="shop").package
    'shop'
    """

    path: Path
    sys_path: tuple[str, ...]
    package: str | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        sys_path: Iterable[str] = ("",),
        package: str | None = None,
    ) -> None:
        if package is not None:
            _check_name("package", package)
        entries = []
        for given in (sys_path,) if isinstance(sys_path, str) else sys_path:
            entry = PurePosixPath(given)
            if entry.is_absolute() or ".." in entry.parts:
                msg = f"sys_path entry {given!r} of root {os.fspath(path)!r} must be a directory inside it"
                raise BundleError(msg, hint="name it relative to the root, for example 'src'")
            entries.append("" if str(entry) == "." else str(entry))
        object.__setattr__(self, "path", Path(os.path.abspath(path)))  # noqa: PTH100 -- resolve() follows links
        object.__setattr__(self, "sys_path", () if package else tuple(dict.fromkeys(entries)))
        object.__setattr__(self, "package", package)


@dataclass(frozen=True, init=False)
class CodeSpec:
    """Describe the code that ships: roots, and what to leave out of them or bring back.

    ``exclude`` and ``include`` are gitignore patterns relative to each root. ``include`` brings
    back what ignore rules left out (a pattern without a slash, only in directories that ship),
    never a secret: those need their path or file name in ``allow``, without wildcards.
    ``modules`` maps an import name to a file: a script that travels under the name by which the
    driver imported it. With ``working_directory`` each worker runs in a private, writable copy of
    the first root, so that tasks find data by relative names; on a cluster that others use, too, it
    is refused. Raises :class:`~daskbridge.errors.BundleError` for a name that can't be one.

    >>> CodeSpec(["project"], exclude=["*.csv"], modules={"prefix_x": "flow.py"}).exclude
    ('*.csv',)
    """

    roots: tuple[Root, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    modules: Mapping[str, Path] = field(default_factory=dict)
    working_directory: bool = False

    def __init__(  # noqa: PLR0913 -- all that can be said about what ships
        self,
        roots: Iterable[Root | str | os.PathLike[str]],
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        allow: Iterable[str] = (),
        modules: Mapping[str, str | os.PathLike[str]] | None = None,
        *,
        working_directory: bool = False,
    ) -> None:
        for name in modules or ():
            _check_name("modules", name)
        for pattern in allow:
            if any(wild in pattern for wild in "*?["):
                msg = f"allow: {pattern!r} has a wildcard; a secret ships only by its own name"
                raise BundleError(msg, hint="name each file, relative to its root")
        made = tuple(root if isinstance(root, Root) else Root(root) for root in roots)
        if working_directory and not any(root.package is None for root in made):
            raise BundleError(
                "working_directory: there is no root to copy", hint="name your project in roots"
            )
        object.__setattr__(self, "roots", made)
        object.__setattr__(self, "include", tuple(include))
        object.__setattr__(self, "exclude", tuple(exclude))
        object.__setattr__(self, "allow", tuple(pattern.strip("/") for pattern in allow))
        object.__setattr__(self, "modules", {name: Path(path) for name, path in (modules or {}).items()})
        object.__setattr__(self, "working_directory", working_directory)


def _check_name(argument: str, name: str) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        msg = f"{argument}: {name!r} can't be imported by that name"
        raise BundleError(msg, hint="name it as in an import statement, for example 'shop' or 'acme.shop'")
