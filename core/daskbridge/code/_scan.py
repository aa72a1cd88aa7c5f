"""Select the files that ship from every root of a spec."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING

from daskbridge.code._project import refuse
from daskbridge.code._walk import File, LeftOut, Walk
from daskbridge.errors import BundleError
from daskbridge.node.unpack import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daskbridge.code._spec import CodeSpec

#: Where entry modules live in a bundle.
MODULES = ".daskbridge/modules"
_PATH = itemgetter(0)


@dataclass(frozen=True)
class Selection:
    """Hold what :func:`scan` found, sorted by path.

    ``sys_path`` and ``working_directory``, of which each worker gets a copy, are relative to the bundle.
    """

    files: tuple[File, ...]
    left_out: tuple[LeftOut, ...]
    sys_path: tuple[str, ...]
    working_directory: str | None = None

    @cached_property
    def size(self) -> int:
        """Return the bytes of all files that ship."""
        return sum([file.size for file in self.files])


def scan(spec: CodeSpec) -> Selection:
    """Return which files of ``spec`` ship, and each file or directory that does not with its reason.

    Rules, from the weakest: built-in names, the repository's and each directory's
    ``.gitignore``, ``.daskbridgeignore``, ``spec.exclude``, ``spec.include``. Above them all
    stands the deny list for secrets. With several roots each has a directory of its own in the
    bundle. Raises :class:`~daskbridge.errors.BundleError` for a root that is missing or far too
    wide, and for two names that are one on some file systems.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from daskbridge.code import CodeSpec
    >>> project = Path(mkdtemp())
    >>> (project / ".env").touch()
    >>> (project / "job.py").touch()
    >>> selection = scan(CodeSpec([project]))
    >>> [file.path for file in selection.files], [item.reason for item in selection.left_out]
    (['job.py'], ['secrets: .env*'])
    """
    for root in spec.roots:
        refuse(root.path)
    files: list[File] = []
    left_out: list[LeftOut] = []
    sys_path: list[str] = []
    real_roots = [os.path.realpath(root.path) for root in spec.roots]
    plain = sum(root.package is None for root in spec.roots)
    numbers = count()
    for root in spec.roots:
        if root.package is not None:
            prefix = f"{MODULES}/{root.package.replace('.', '/')}/"
        else:
            prefix = f"{next(numbers)}/" if plain > 1 else ""
        walk = Walk(spec, str(root.path), real_roots)
        files += [file._replace(path=prefix + file.path) for file in walk.files] if prefix else walk.files
        left_out += [item._replace(path=prefix + item.path) for item in walk.left_out]
        sys_path += [(prefix + entry).rstrip("/") for entry in root.sys_path]
    if spec.modules or plain < len(spec.roots):
        files += _modules(spec)
        sys_path.insert(0, MODULES)
    files.sort(key=_PATH)  # characters are in the order of their bytes
    refuse_collisions(files)
    if sys_path[:1] == [MODULES]:
        _refuse_hidden(files, sys_path)
    left_out.sort(key=_PATH)
    directory = ("0" if plain > 1 else "") if spec.working_directory else None
    return Selection(tuple(files), tuple(left_out), tuple(sys_path), directory)


def _modules(spec: CodeSpec) -> Iterator[File]:
    for name, source in spec.modules.items():
        try:
            found = source.stat()
        except OSError as error:
            msg = f"modules: {name!r} should come from {str(source)!r}, which can't be read: {error.strerror}"
            raise BundleError(msg) from error
        stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        path = f"{MODULES}/{name.replace('.', '/')}.py"
        yield File(path, str(source), found.st_size, executable=False, stamp=stamp)


def _refuse_hidden(files: Sequence[File], sys_path: Sequence[str]) -> None:
    """Raise for a dotted name inside of a package that ships from elsewhere: Python would not look there."""
    paths = {file.path for file in files}
    below = [file.path.split("/")[2:] for file in files if file.path.startswith(f"{MODULES}/")]
    for top in sorted({parts[0] for parts in below if len(parts) > 1}):
        for entry in sys_path:
            package = f"{entry}/{top}/__init__.py".lstrip("/")
            if entry == MODULES and package in paths:
                break
            if package in paths:
                msg = f"names below {top!r} can't be imported beside the package that ships as {package}"
                hint = f"move the file into that package, or import it by a name outside of {top!r}"
                raise BundleError(msg, hint=hint)


def refuse_collisions(files: Sequence[File]) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` for two names that are one on some file systems.

    Directories may: their files then lie in one. A file and a directory may not.
    """
    paths = [file.path for file in files]
    folding = str.lower if all(map(str.isascii, paths)) else fold
    directories = {path.rpartition("/")[0] for path in paths}
    for path in [*directories]:
        above = path.rpartition("/")[0]
        while above not in directories:
            directories.add(above)
            above = above.rpartition("/")[0]
    seen = {folding(path): path for path in directories}
    if len({*seen, *map(folding, paths)}) == len(seen) + len(paths):
        return
    for file in files:
        key = folding(file.path)
        if other := seen.get(key):
            msg = f"{other!r} and {file.path!r} are one name on some file systems"
            raise BundleError(msg, hint="rename one, or leave it out in .daskbridgeignore")
        seen[key] = file.path
