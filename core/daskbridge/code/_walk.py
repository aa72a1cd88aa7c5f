"""Walk one root: each file ships, or stays behind for a reason that can be told."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daskbridge.code._names import Names
from daskbridge.code._repository import repository_rules
from daskbridge.code._rules import SECRETS, built_in, rules, rules_file, secret
from daskbridge.errors import BundleError
from daskbridge.node.unpack import portable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daskbridge.code._rules import Rules
    from daskbridge.code._spec import CodeSpec

#: Why a file stays behind whose name is not :func:`portable`.
UNPORTABLE = "its name is not possible on every node"


class File(NamedTuple):
    """Name a file that ships: its path in the bundle and on this machine, its size when seen.

    ``stamp`` is another one once the file was written to: times of content and inode in ns, inode.
    """

    path: str
    source: str
    size: int
    executable: bool
    stamp: tuple[int, int, int] = (0, 0, 0)


class LeftOut(NamedTuple):
    """Name a file, or a directory (with a slash at its end), that stays behind, and the rule that says so."""

    path: str
    reason: str


@dataclass
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
    names: Names
    secret: str | None = None
    ignored: str | None = None


class Walk:
    """Go through one root without recursion; never leave the roots through a link."""

    def __init__(self, spec: CodeSpec, root: str, real_roots: Sequence[str]) -> None:
        #: What was found, in no order.
        self.files: list[File] = []
        self.left_out: list[LeftOut] = []
        self._spec = spec
        self._real_roots = real_roots
        self._exclude = _some(rules("exclude", spec.exclude, numbered=False))
        self._include = _some(rules("include", spec.include, numbered=False))
        git = (built_in(), *repository_rules(root))
        lines = [line for found in (*git, *self._exclude) for _, line in found.lines]
        real = os.path.realpath(root)
        first = _Directory(root, "", real, frozenset({real}), git, (), Names([*SECRETS, *lines]))
        self._stack = [first]
        while self._stack:
            self._directory(self._stack.pop())

    def _directory(self, here: _Directory) -> None:
        try:
            with os.scandir(here.source) as found:
                entries = list(found)
        except OSError as error:
            msg = f"directory {here.source!r} can't be read: {error.strerror}"
            raise BundleError(
                msg, hint="leave it out in .daskbridgeignore, or mend its permissions"
            ) from error
        for entry in entries:
            if entry.name == "pyvenv.cfg" and here.path:
                self.left_out.append(LeftOut(here.path, "built-in: virtual environment (pyvenv.cfg)"))
                return
            if entry.name in {".gitignore", ".daskbridgeignore"}:
                self._read_rules(here, entry)
        # what no rule is asked about is most of all, and goes the short way
        plain = not (self._include or here.secret or here.ignored)
        names, above = here.names, here.path
        for entry in entries:
            name = entry.name
            if not plain or name in names or entry.is_symlink():
                self._ask(here, entry)
            elif entry.is_dir(follow_symlinks=False):
                self._descend(here, entry, f"{here.real}{os.sep}{name}", None, None)
            else:
                self._file(above + name, entry)

    def _read_rules(self, here: _Directory, entry: os.DirEntry[str]) -> None:
        found = _some(rules_file(entry.path, here.path + entry.name, here.path))
        if entry.name == ".gitignore":
            here.git += found
        else:
            here.own += found
        here.names = Names([line for each in found for _, line in each.lines], here.names)

    def _ask(self, here: _Directory, entry: os.DirEntry[str]) -> None:
        """Ask every rule about an entry."""
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
                self._descend(here, entry, real, denied, ignored)
        if reason:
            if not (here.secret or here.ignored):
                self.left_out.append(LeftOut(shown, reason))
        elif not is_dir:
            self._file(path, entry)

    def _descend(
        self, here: _Directory, entry: os.DirEntry[str], real: str, denied: str | None, ignored: str | None
    ) -> None:
        path = f"{here.path}{entry.name}/"
        above = here.above | {real}
        self._stack.append(
            _Directory(entry.path, path, real, above, here.git, here.own, here.names, denied, ignored)
        )

    def _file(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            found = entry.stat()
        except OSError as error:
            self.left_out.append(LeftOut(path, f"can't be read: {error.strerror}"))
            return
        mode = found.st_mode
        if not stat.S_ISREG(mode):
            self.left_out.append(LeftOut(path, "not a regular file"))
        elif not portable(path):
            self.left_out.append(LeftOut(path, UNPORTABLE))
        else:
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            name = path if path.isascii() else unicodedata.normalize("NFC", path)
            self.files.append(File(name, entry.path, found.st_size, bool(mode & stat.S_IXUSR), stamp))

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
        if reason and (name in self._spec.allow or path in self._spec.allow):
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


def _some(found: Rules | None) -> tuple[Rules, ...]:
    return (found,) if found else ()
