"""Compare two manifests, and find what a user names as one side of a comparison."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from daskbridge.code._cached import host_cache, tree_called
from daskbridge.code._project import project_spec
from daskbridge.code._scan import Selection, scan
from daskbridge.code._trees import of_archive, of_selection, of_tree
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from daskbridge.code._manifest import Entry, Manifest

_DIGEST = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Side:
    """Hold one side: what was named, what it is (``directory``, ``archive`` or ``cache``), what it holds.

    ``called`` is the digest under which the cache has it: another one than its manifest's if it was changed.
    """

    name: str
    kind: str
    manifest: Manifest
    selection: Selection | None = None
    called: str | None = None

    def why_not(self, path: str) -> str | None:
        """Say which rule keeps a file of the directory from shipping; None if none does."""
        for item in self.selection.left_out if self.selection else ():
            if path == item.path or (item.path.endswith("/") and path.startswith(item.path)):
                return f"{item.path} is left out by {item.reason}"
        return None


class Change(NamedTuple):
    """Name a file that both sides have, with other content or another executable bit."""

    before: Entry
    after: Entry

    @property
    def content(self) -> bool:
        """Tell whether the content differs."""
        return self.before.sha256 != self.after.sha256


class Difference(NamedTuple):
    """List what only the first side has, what only the second has, and what both have differently."""

    removed: list[Entry]
    added: list[Entry]
    changed: list[Change]


def side(name: str) -> Side:
    """Read a project's directory, an archive, or by its digest's first digits a tree of this host's cache.

    Raises BundleError if it is none of them.
    """
    path = Path(name)
    if path.is_dir():
        selection = scan(project_spec(path))
        return Side(name, "directory", of_selection(selection), selection)
    if path.is_file():
        return Side(name, "archive", of_archive(path))
    cache = host_cache()
    if _DIGEST.fullmatch(name) and (digest := tree_called(cache, name)):
        return Side(name, "cache", of_tree(cache.path(digest, "tree"), digest), called=digest)
    msg = f"{name!r} is no directory, no archive and no digest of the cache {cache.home}"
    raise BundleError(msg, hint="`daskbridge bundle cache` lists the digests that are there")


def difference(first: Manifest, second: Manifest) -> Difference:
    """Return what makes ``second`` another tree than ``first``, in the order of paths."""
    before = {entry.path: entry for entry in first.entries}
    after = {entry.path: entry for entry in second.entries}
    both = sorted(before.keys() & after.keys())
    return Difference(
        [before[path] for path in sorted(before.keys() - after.keys())],
        [after[path] for path in sorted(after.keys() - before.keys())],
        [Change(before[path], after[path]) for path in both if before[path] != after[path]],
    )
