"""Install trees into the host cache: once per host, verified, leased while a process uses them.

Layout, private to the user: ``<root>/v1/<digest>/{tree, manifest, seal, archive}``, ``locks/<digest>`` and
``locks/<digest>.lease``, ``staging/``. All of it is safe to delete while nothing runs.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from .places import cache_places, ours, private
from .seal import seal, unbroken
from .unpack import BundleRejected, unpack

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .unpack import Reference

    #: A name for the receipt, and what yields the archive's bytes.
    Source = tuple[str, Callable[[], Iterable[bytes]]]

_HEX = 64
_RETRIES = 3
_PAUSE = 0.2


class Installed(NamedTuple):
    """Tell where a tree is, where it came from and the open lease that keeps it there."""

    tree: str
    source: str
    lease: int


class HostCache:
    """Hold the installed trees of one user on one host, below ``<root>/v1``."""

    def __init__(self, root: str, limit: int = 4 << 30) -> None:
        self.home = private(os.path.join(root, "v1"))
        self.limit = limit
        for name in ("locks", "staging"):
            os.makedirs(os.path.join(self.home, name), 0o700, exist_ok=True)

    def install(self, reference: Reference, sources: Sequence[Source]) -> Installed:
        """Return the tree of ``reference``, from here or from the first source that has it.

        Blocks; run it in a thread. ``os.close(lease)`` lets the tree be collected again.
        Raises RuntimeError with the cause of each source if none has the right bytes.
        """
        digest = reference["digest"]
        lease = self.lease(digest)
        try:
            if tree := self.find(reference):
                return Installed(tree, "cache", lease)
            with self.locked(digest):
                if tree := self.find(reference):
                    return Installed(tree, "cache", lease)
                self._collect(reference)
                source = self._fill(reference, sources)
                return Installed(self.path(digest, "tree"), source, lease)
        except BaseException:
            os.close(lease)
            raise

    def find(self, reference: Reference) -> str | None:
        """Return the installed tree, or None if it is absent, changed or not what its manifest should say."""
        digest = reference["digest"]
        try:
            with open(self.path(digest, "manifest"), encoding="utf-8") as file:
                known = json.load(file)
            found = os.lstat(self.path(digest, "tree"))
            os.utime(self.path(digest, "manifest"))  # the order of collection
        except (OSError, ValueError):
            return None
        if known != _manifest(reference) or not stat.S_ISDIR(found.st_mode) or not ours(found):
            return None
        tree = self.path(digest, "tree")
        return tree if unbroken(tree, self.path(digest, "seal")) else None

    def path(self, digest: str, *names: str) -> str:
        """Return a path below the directory of ``digest``."""
        return os.path.join(self.home, digest, *names)

    def staging(self, lock: str) -> str:
        """Make a directory that is reaped once nobody holds ``lock``: a digest or ``<digest>.lease``."""
        return tempfile.mkdtemp(prefix=f"{lock}-", dir=os.path.join(self.home, "staging"))

    def lease(self, digest: str) -> int:
        """Keep ``digest`` and its uploads from being collected until the returned handle is closed."""
        return _lock(self._lock_file(f"{digest}.lease"), shared=True)

    def in_use(self, digest: str) -> bool:
        """Tell whether a process has a lease on ``digest``; True where that can't be told, on Windows."""
        try:
            os.close(_lock(self._lock_file(f"{digest}.lease"), wait=False))
        except BlockingIOError:
            return True
        return False

    def remove(self, digest: str) -> bool:
        """Remove what is there of ``digest`` unless it is in use; tell whether it is gone."""
        gone = self._remove_unused(self.path(digest), f"{digest}.lease")
        return gone and not os.path.lexists(self.path(digest))

    def reap(self) -> None:
        """Remove what installs and uploads left that ended too early."""
        staging = os.path.join(self.home, "staging")
        for name in os.listdir(staging):
            self._remove_unused(os.path.join(staging, name), name.rpartition("-")[0])

    @contextmanager
    def locked(self, digest: str) -> Iterator[None]:
        """Hold the one lock under which ``digest`` is written."""
        handle = _lock(self._lock_file(digest))
        try:
            yield
        finally:
            os.close(handle)

    def _fill(self, reference: Reference, sources: Sequence[Source]) -> str:
        causes: list[str] = []
        last: Exception | None = None
        for name, open_source in sources:
            for attempt in range(_RETRIES):
                if attempt:
                    time.sleep(_PAUSE * attempt)
                staging = self.staging(reference["digest"])
                try:
                    unpack(open_source(), os.path.join(staging, "tree"), reference)
                    self._publish(reference, staging)
                except (BundleRejected, OSError, RuntimeError) as error:
                    last = error
                    causes.append(f"{name}: {type(error).__name__}: {error}")
                    if isinstance(error, BundleRejected):
                        break
                else:
                    return name
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
        tried = "; ".join(dict.fromkeys(causes)) or "no source"
        raise RuntimeError(
            f"code {reference['digest'][:12]} can't be installed in {self.home}: {tried}"
        ) from last

    def _publish(self, reference: Reference, staging: str) -> None:
        digest = reference["digest"]
        seal(os.path.join(staging, "tree"), os.path.join(staging, "seal"))
        with open(os.path.join(staging, "manifest"), "w", encoding="utf-8") as file:
            json.dump(_manifest(reference), file)
            file.flush()
            os.fsync(file.fileno())
        if self.find(reference) is None:  # where locks do nothing, another install may be first
            with suppress(OSError):  # the scheduler may be serving it
                os.rename(self.path(digest, "archive"), os.path.join(staging, "archive"))
            self._remove(self.path(digest))
            os.rename(staging, self.path(digest))

    def _remove(self, path: str) -> None:
        """Take a directory out of sight, then away: nobody may find half of it if this is cut short."""
        aside = self.staging(os.path.basename(path))
        with suppress(FileNotFoundError):
            os.rename(path, os.path.join(aside, "tree"))
        shutil.rmtree(aside, ignore_errors=True)

    def _collect(self, coming: Reference) -> None:
        """Reap what dead installs left, then the least recently used trees that nobody leases."""
        staging = os.path.join(self.home, "staging")
        for name in os.listdir(staging):
            lock = name.rpartition("-")[0]
            if lock == coming["digest"]:  # its lock is ours, so no other install is under way
                shutil.rmtree(os.path.join(staging, name), ignore_errors=True)
            else:
                self._remove_unused(os.path.join(staging, name), lock)
        known = sorted(
            (*_usage(entry.path), entry.name) for entry in os.scandir(self.home) if len(entry.name) == _HEX
        )
        total = coming["bytes"] + sum(size for _, size, _ in known)
        for _, size, digest in known:
            if total > self.limit and self._remove_unused(self.path(digest), f"{digest}.lease"):
                total -= size

    def _remove_unused(self, path: str, lock: str) -> bool:
        try:
            handle = _lock(self._lock_file(lock), wait=False)
        except OSError:  # somebody holds it, or the name is none of ours
            return False
        try:
            self._remove(path)
        finally:
            os.close(handle)
        return True

    def _lock_file(self, name: str) -> str:
        return os.path.join(self.home, "locks", name)


def open_cache(local_directory: str | None = None) -> HostCache:
    """Open the host cache that Dask's configuration names, else the first usable place for one.

    ``daskbridge.cache-directory`` must be usable if it is set. Otherwise the user's cache
    directory, then ``local_directory``, then the temporary directory; never the working directory.
    """
    import dask.config
    from dask.utils import parse_bytes

    limit = int(parse_bytes(dask.config.get("daskbridge.cache-size", "4 GiB")))
    chosen = dask.config.get("daskbridge.cache-directory", None)
    causes = []
    for place in cache_places(chosen, local_directory):
        try:
            return HostCache(place, limit)
        except OSError as error:
            if chosen:
                raise
            causes.append(str(error))
    msg = f"no usable directory for the code cache: {'; '.join(causes)}; set daskbridge.cache-directory"
    raise RuntimeError(msg)


def _manifest(reference: Reference) -> dict[str, object]:
    return {"digest": reference["digest"], "files": reference["files"], "bytes": reference["bytes"]}


def _usage(path: str) -> tuple[float, int]:
    """Return when a tree was last used and how many bytes it takes."""
    try:
        used = os.stat(os.path.join(path, "manifest")).st_mtime
        with open(os.path.join(path, "manifest"), encoding="utf-8") as file:
            return used, int(json.load(file)["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, 0


def _lock(path: str, *, shared: bool = False, wait: bool = True) -> int:
    """Open and lock a file. Without flock the rename alone keeps installs whole, and nothing is collected."""
    if sys.platform == "win32" and not wait:
        raise BlockingIOError
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            os.close(handle)
            raise
    return handle
