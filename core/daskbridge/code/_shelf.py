"""Keep packed archives in the user's cache, so that code which has not changed is not packed again."""

from __future__ import annotations

import json
import marshal
import os
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from daskbridge.code._archive import write_archive
from daskbridge.code._manifest import Entry, Manifest
from daskbridge.node.compress import FORMATS
from daskbridge.node.places import cache_places, private
from daskbridge.settings import setting

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daskbridge.code._scan import Selection
    from daskbridge.code._walk import File

#: Bytes of archives above which the ones that were not used for longest go.
LIMIT = 1 << 30
#: Nanoseconds in which a file system may give two states of a file the same time: the worst known is FAT's.
_TICK = 2_000_000_000
_SHA256 = 32


class Packed(NamedTuple):
    """Describe an archive; it stays where it is until the handle ``lease`` is closed."""

    archive: Path
    sha256: str
    size: int
    manifest: Manifest
    form: str
    lease: int


class Shelf:
    """Hold the archive that was packed last of each selection of roots; of one user, on one host."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def pack(
        self, about: str, selection: Selection, since: int, progress: Callable[[int], None] | None = None
    ) -> Packed:
        """Return the archive of ``selection``: from here, if every file is as it was, else a new one.

        ``about`` says what was selected from, ``since`` is the time in nanoseconds before that was
        begun. Raises OSError where the shelf can't be written to, and BundleError as
        :func:`write_archive` does.
        """
        key = sha256(about.encode()).hexdigest()[:32]
        state = _state(selection.files)
        return self._find(key, state, selection) or self._put(key, state, selection, since, progress)

    @property
    def size(self) -> int:
        """Return the bytes of all archives."""
        return sum(file.stat().st_size for file in self._home.glob("*-*"))

    def clear(self) -> None:
        """Remove what nobody uses."""
        for file in self._home.iterdir():
            if file.suffix == ".json":
                file.unlink(missing_ok=True)
            else:
                _remove(file)

    def _find(self, key: str, state: str, selection: Selection) -> Packed | None:
        try:
            record = self._record(key)
            if record["state"] != state or not record["settled"] or record["form"] not in FORMATS:
                return None
            archive = self._home / record["archive"]
            lease = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not _locked(lease, fcntl.LOCK_SH) or _stamp(os.fstat(lease)) != record["stamp"]:
            os.close(lease)  # it is being removed, or is not what was written
            return None
        os.utime(self._home / f"{key}.json")  # the order of collection
        contents = bytes.fromhex(record["contents"])
        each = (contents[at : at + _SHA256] for at in range(0, len(contents), _SHA256))
        entries = (
            Entry._make((path, executable, size, content))
            for (path, _, size, executable, _), content in zip(selection.files, each, strict=True)
        )
        manifest = Manifest(entries, digest=record["digest"], size=selection.size)
        return Packed(archive, record["sha256"], record["stamp"][0], manifest, record["form"], lease)

    def _put(
        self,
        key: str,
        state: str,
        selection: Selection,
        since: int,
        progress: Callable[[int], None] | None,
    ) -> Packed:
        form = FORMATS[0]
        part = self._home / f"{uuid4().hex}.part"
        lease = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lease, fcntl.LOCK_SH)
            with open(lease, "wb", buffering=0, closefd=False) as raw:
                manifest, checksum = write_archive(selection.files, raw, form, progress)
            archive = self._home / f"{key}-{checksum[:16]}.{form}"
            part.rename(archive)
        except BaseException:
            part.unlink(missing_ok=True)
            os.close(lease)
            raise
        stamp = _stamp(os.fstat(lease))
        settled = all(file.stamp[1] < since - _TICK for file in selection.files)
        record = {
            "archive": archive.name,
            "contents": b"".join(entry.sha256 for entry in manifest.entries).hex(),
            "digest": manifest.digest,
            "form": form,
            "settled": settled,
            "sha256": checksum,
            "stamp": stamp,
            "state": state,
        }
        _write(self._home / f"{key}.json", record)
        self._collect(archive)
        return Packed(archive, checksum, stamp[0], manifest, form, lease)

    def _record(self, key: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self._home / f"{key}.json").read_bytes())
        return record

    def _collect(self, newest: Path) -> None:
        """Remove what a newer archive of the same selection replaces, then the least recently used."""
        kept = []
        for file in self._home.iterdir():
            key, replaceable, _ = file.name.partition("-")
            record = self._home / f"{key}.json"
            if replaceable and file != newest and key != newest.name.partition("-")[0] and record.exists():
                kept.append((record.stat().st_mtime, file.stat().st_size, file))
            elif file != newest and file.suffix != ".json":
                _remove(file)
        total = newest.stat().st_size + sum(size for _, size, _ in kept)
        for _, size, file in sorted(kept):
            if total > LIMIT and _remove(file):
                total -= size
                self._home.joinpath(f"{file.name.partition('-')[0]}.json").unlink(missing_ok=True)


def open_shelf() -> Shelf | None:
    """Open the shelf in the host's cache; None where there is no place for one, and no lock."""
    if sys.platform == "win32":
        return None
    for place in cache_places(setting("cache-directory")):
        with suppress(OSError):
            home = Path(private(f"{place}/v1"))
            return Shelf(Path(private(f"{home}/packed")))
    return None


def _state(files: Sequence[File]) -> str:
    """Return what is another as soon as a file is written to, or there are others."""
    seen = [(path, size, executable, *stamp) for path, _, size, executable, stamp in files]
    return sha256(marshal.dumps(seen, 2)).hexdigest()  # the second version writes equal values equally


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(target: Path, record: dict[str, Any]) -> None:
    part = target.with_suffix(f".{uuid4().hex}.part")
    part.write_text(json.dumps(record))
    part.rename(target)


def _remove(file: Path) -> bool:
    """Remove a file that nobody uses; tell whether it is gone."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        if gone := _locked(handle, fcntl.LOCK_EX):
            file.unlink(missing_ok=True)
        return gone
    finally:
        os.close(handle)
