"""Look into this host's cache: which trees there are, whether they are whole, which nobody uses."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from daskbridge.code._trees import of_tree
from daskbridge.errors import BundleError
from daskbridge.node.install import HostCache, open_cache

_DIGITS = 64


@dataclass(frozen=True)
class Tree:
    """Describe an installed tree; ``used`` is of :func:`time.time`, ``in_use`` while a process has a lease.

    ``archive`` is the size of the archive that is kept beside it for other nodes. What of a tree
    can't be told, because its manifest is damaged, is None.
    """

    digest: str
    files: int | None
    bytes: int | None
    archive: int
    used: float | None
    in_use: bool


def host_cache() -> HostCache:
    """Open the cache that nodes on this host use; raises BundleError if there can be none."""
    try:
        return open_cache()
    except (OSError, RuntimeError) as error:
        msg = f"this host can't have a cache for code: {error}"
        raise BundleError(msg, hint="set daskbridge.cache-directory, or mend the directory") from error


def trees(cache: HostCache) -> list[Tree]:
    """Return the trees of the cache, the one that was used last first; change nothing."""
    places = (place for place in Path(cache.home).iterdir() if len(place.name) == _DIGITS)
    return sorted((_tree(cache, place) for place in places), key=lambda tree: -(tree.used or 0))


def tree_called(cache: HostCache, start: str) -> str | None:
    """Return the one digest of the cache that begins so; None if there is none.

    Raises BundleError if there are several.
    """
    found = [tree.digest for tree in trees(cache) if tree.digest.startswith(start)]
    if len(found) > 1:
        raise BundleError(f"{start!r} may be {' or '.join(found)}", hint="give more digits")
    return found[0] if found else None


def damage(cache: HostCache, tree: Tree) -> str | None:
    """Say in words what is wrong with a tree; None if its files are those that its digest names.

    Blocks while it reads them all.
    """
    place, lease = cache.path(tree.digest, "tree"), cache.lease(tree.digest)
    try:
        if tree.files is None or not Path(place).is_dir():
            return "it has no manifest" if tree.files is None else "it has no files"
        found = of_tree(place, tree.digest)
    except (BundleError, OSError) as error:
        return str(error)
    finally:
        os.close(lease)
    if found.digest == tree.digest:
        return None
    if (len(found.entries), found.size) != (tree.files, tree.bytes):
        return f"{len(found.entries)} files of {found.size} B, should be {tree.files} of {tree.bytes} B"
    return "files were changed: they are those of another digest"


def _tree(cache: HostCache, place: Path) -> Tree:
    manifest, archive = place / "manifest", place / "archive"
    packed = archive.stat().st_size if archive.is_file() else 0
    in_use = cache.in_use(place.name)
    try:
        known = json.loads(manifest.read_text("utf-8"))
        files, size, used = int(known["files"]), int(known["bytes"]), manifest.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return Tree(place.name, None, None, packed, None, in_use)
    return Tree(place.name, files, size, packed, used, in_use)
