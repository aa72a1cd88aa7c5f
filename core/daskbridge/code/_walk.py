"""Walk one root: each file ships, or stays behind for a reason that can be told."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._repository import repository_rules
from daskbridge.code._rules import BUILT_IN, rules, rules_file, secret
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daskbridge.code._rules import Rules
    from daskbridge.code._spec import CodeSpec

#: Why a file stays behind whose name is not :func:`portable`.
UNPORTABLE = "its name is not possible on every node"


@dataclass(frozen=True)
class File:
    """Name a file that ships: its path in the bundle and on this machine, its size when seen."""

    path: str
    source: str
    size: int
    executable: bool


@dataclass(frozen=True)
class LeftOut:
    """Name a file, or a directory (with a slash at its end), that stays behind, and the rule that says so."""

    path: str
    reason: str


@dataclass(frozen=True)
class _Directory:
    """Remember a directory that is still to be read.

    ``secret`` and ``ignored`` are the reasons why nothing in it ships unless named.
    """

    source: str
    path: str
    real: str
    above: frozenset[str]
    git: tuple[Rules, ...]
    own: tuple[Rules, ...]
    secret: str | None = None
    ignored: str | None = None


class Walk:
    """Go through one root without recursion; never leave the roots through a link."""

    def __init__(self, spec: CodeSpec, root: str, real_roots: Sequence[str]) -> None:
        self._spec = spec
        self._real_roots = real_roots
        self._exclude = _some(rules("exclude", spec.exclude, numbered=False))
        self._include = _some(rules("include", spec.include, numbered=False))
        git = (*_some(rules("built-in", BUILT_IN, numbered=False)), *repository_rules(root))
        real = os.path.realpath(root)
        self._stack = [_Directory(root, "", real, frozenset({real}), git, ())]

    def items(self) -> Iterator[File | LeftOut]:
        """Yield what ships and what does not, in no order."""
        while self._stack:
            yield from self._directory(self._stack.pop())

    def _directory(self, here: _Directory) -> Iterator[File | LeftOut]:
        try:
            with os.scandir(here.source) as found:
                entries = {entry.name: entry for entry in found}
        except OSError as error:
            msg = f"directory {here.source!r} can't be read: {error.strerror}"
            raise BundleError(
                msg, hint="leave it out in .daskbridgeignore, or mend its permissions"
            ) from error
        if "pyvenv.cfg" in entries and here.path:
            yield LeftOut(here.path, "built-in: virtual environment (pyvenv.cfg)")
            return
        git, own = here.git, here.own
        if ".gitignore" in entries:
            git += _some(rules_file(entries[".gitignore"].path, f"{here.path}.gitignore", here.path))
        if ".daskbridgeignore" in entries:
            path = entries[".daskbridgeignore"].path
            own += _some(rules_file(path, f"{here.path}.daskbridgeignore", here.path))
        here = replace(here, git=git, own=own)
        for entry in entries.values():
            yield from self._entry(here, entry)

    def _entry(self, here: _Directory, entry: os.DirEntry[str]) -> Iterator[File | LeftOut]:
        path = here.path + entry.name
        target = os.path.realpath(entry.path) if entry.is_symlink() else None
        is_dir = entry.is_dir(follow_symlinks=True)
        shown = f"{path}/" if is_dir else path
        denied = self._denied(path, entry.name, here.secret) or (
            self._denied_link(path, target) if target else None
        )
        ignored = self._ignored(here, shown)
        reason = denied or ignored
        if is_dir:
            real = target or f"{here.real}{os.sep}{entry.name}"
            if real in here.above:
                reason = "a link to a directory above it"
            elif not reason or self._named_below(shown, denied=denied):
                above = here.above | {real}
                self._stack.append(
                    _Directory(entry.path, shown, real, above, here.git, here.own, denied, ignored)
                )
        if reason:
            if not (here.secret or here.ignored):
                yield LeftOut(shown, reason)
        elif not is_dir:
            yield self._file(path, entry)

    @staticmethod
    def _file(path: str, entry: os.DirEntry[str]) -> File | LeftOut:
        try:
            found = entry.stat()
        except OSError as error:
            return LeftOut(path, f"can't be read: {error.strerror}")
        if not stat.S_ISREG(found.st_mode):
            return LeftOut(path, "not a regular file")
        if not portable(path):
            return LeftOut(path, UNPORTABLE)
        name = unicodedata.normalize("NFC", path)
        return File(name, entry.path, found.st_size, executable=bool(found.st_mode & stat.S_IXUSR))

    def _ignored(self, here: _Directory, path: str) -> str | None:
        for found in self._include:
            verdict = found.verdict(path)
            if verdict and verdict[0]:
                return None
        if here.ignored:
            return here.ignored
        for found in (*self._exclude, *reversed(here.own), *reversed(here.git)):
            verdict = found.verdict(path)
            if verdict:
                return verdict[1] if verdict[0] else None
        return None

    def _denied(self, path: str, name: str, inherited: str | None) -> str | None:
        pattern = secret(name)
        reason = f"secrets: {pattern}" if pattern else inherited
        if reason and any(name == named or f"{path}/".startswith(f"{named}/") for named in self._spec.allow):
            return None
        return reason

    def _denied_link(self, path: str, target: str) -> str | None:
        for root in self._real_roots:
            if target == root or target.startswith(root + os.sep):
                parts = Path(target).relative_to(root).parts
                pattern = next(filter(None, map(secret, parts)), None)
                return (
                    f"secrets: {pattern}, through a link"
                    if pattern and path not in self._spec.allow
                    else None
                )
        return f"a link that leaves the root: {target}"

    def _named_below(self, path: str, *, denied: str | None) -> bool:
        """Tell whether something below a directory that stays behind is named to ship all the same."""
        if denied:
            return any(named.startswith(path) for named in self._spec.allow)
        for pattern in self._spec.include:
            if "/" in pattern.rstrip("/"):
                literal = pattern.lstrip("/").split("*")[0].split("?")[0].split("[")[0]
                if literal.startswith(path) or path.startswith(literal):
                    return True
        return False


def portable(path: str) -> bool:
    """Tell whether a name can be a file's on every node."""
    return path.isprintable() and "\\" not in path and ":" not in path


def _some(found: Rules | None) -> tuple[Rules, ...]:
    return (found,) if found else ()
