"""Select the files that ship from every root of a spec."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daskbridge.code._project import refuse
from daskbridge.code._walk import File, LeftOut, Walk
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daskbridge.code._spec import CodeSpec

#: Where entry modules live in a bundle.
MODULES = ".daskbridge/modules"


@dataclass(frozen=True)
class Selection:
    """Hold what :func:`scan` found, sorted by path; ``sys_path`` is relative to the bundle."""

    files: tuple[File, ...]
    left_out: tuple[LeftOut, ...]
    sys_path: tuple[str, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all files that ship."""
        return sum(file.size for file in self.files)


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
    for number, root in enumerate(spec.roots):
        prefix = f"{number}/" if len(spec.roots) > 1 else ""
        for item in Walk(spec, str(root.path), real_roots).items():
            if isinstance(item, File):
                files.append(replace(item, path=prefix + item.path) if prefix else item)
            else:
                left_out.append(replace(item, path=prefix + item.path))
        sys_path += [(prefix + entry).rstrip("/") for entry in root.sys_path]
    if spec.modules:
        files += _modules(spec)
        sys_path.insert(0, MODULES)
    files.sort(key=lambda file: file.path.encode())
    refuse_collisions(files)
    left_out.sort(key=lambda item: item.path)
    return Selection(tuple(files), tuple(left_out), tuple(sys_path))


def _modules(spec: CodeSpec) -> Iterator[File]:
    for name, source in spec.modules.items():
        try:
            size = source.stat().st_size
        except OSError as error:
            msg = f"modules: {name!r} should come from {str(source)!r}, which can't be read: {error.strerror}"
            raise BundleError(msg) from error
        yield File(f"{MODULES}/{name}.py", str(source), size, executable=False)


def refuse_collisions(files: Sequence[File]) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` for two names that are one on some file systems."""
    seen: dict[str, str] = {}
    for file in files:
        key = unicodedata.normalize("NFC", file.path.casefold())
        if other := seen.get(key):
            msg = f"{other!r} and {file.path!r} are one name on some file systems"
            raise BundleError(msg, hint="rename one, or leave it out in .daskbridgeignore")
        seen[key] = file.path
