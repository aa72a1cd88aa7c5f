"""Find a place for a cache on this host that is the user's alone."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress


def cache_places(chosen: str | None, local_directory: str | None = None) -> list[str]:
    """Return where a cache may be, the best place first; a chosen one is the only one."""
    if chosen:
        return [os.path.abspath(os.path.expanduser(chosen))]
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
    places = [os.path.join(user, "daskbridge")] if os.path.isabs(user) else []
    # a name that nothing can import: Dask has the directory on the path of its workers
    places += [os.path.join(local_directory, ".daskbridge")] if local_directory else []
    return [*places, os.path.join(tempfile.gettempdir(), f"daskbridge-{_uid()}")]


def private(home: str) -> str:
    """Make ``home`` for this user alone, or refuse it."""
    _make(home)
    root = os.path.dirname(home)
    found, parent = os.lstat(home), os.stat(root)
    open_parent = parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX and sys.platform != "win32"
    foreign_parent = not {parent.st_uid, os.lstat(root).st_uid} <= {0, _uid()}
    if not stat.S_ISDIR(found.st_mode) or not ours(found) or open_parent or foreign_parent:
        msg = f"{home} is a link, belongs to another user or can be replaced by others"
        raise PermissionError(msg)
    if found.st_mode & 0o077:
        os.chmod(home, 0o700)
    if not os.access(home, os.W_OK | os.X_OK):
        msg = f"{home} can't be written to"
        raise PermissionError(msg)
    return home


def _make(path: str) -> None:
    """Make a directory, and what is missing above it, for this user alone whatever the umask."""
    if not os.path.isdir(path):
        _make(os.path.dirname(path))
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)


def ours(found: os.stat_result) -> bool:
    """Tell whether something is of the user who runs this process."""
    return found.st_uid == _uid()


def _uid() -> int:
    return 0 if sys.platform == "win32" else os.getuid()
