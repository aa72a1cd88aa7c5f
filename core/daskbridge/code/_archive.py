"""Write the archive: sorted, regular files only, nothing of this machine but names and content."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import IO, TYPE_CHECKING

from daskbridge.code._manifest import Entry, Manifest
from daskbridge.errors import BundleError
from daskbridge.node.compress import CHUNK, Compressed
from daskbridge.node.tar import BLOCK, END, header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daskbridge.code._walk import File

_PADDING = tuple(bytes(-size % BLOCK) for size in range(BLOCK))


def write_archive(
    files: Iterable[File], raw: IO[bytes], form: str, progress: Callable[[int], None] | None = None
) -> tuple[Manifest, str]:
    """Write ``files`` to ``raw`` in the format ``form``; return their manifest and the archive's sha256.

    Each file is read once, so the digest is of the archived bytes even if a file changes
    meanwhile; memory stays at a few MiB. ``progress`` is called with the bytes of files that are
    done, at most once a MiB. Raises :class:`~daskbridge.errors.BundleError` if a file can't be
    read or shrinks while it is read.
    """
    writing = _Writing(raw, form, progress)
    manifest = Manifest([writing.add(file) for file in files])
    return manifest, writing.close()


class _Hashed:
    """Hash what is written."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.sha256 = sha256()

    def write(self, data: bytes, /) -> None:
        self.sha256.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._raw.write(rest) :]


class _Writing:
    """Gather small files and their headers, so that the compressor gets pieces that are worth it."""

    def __init__(self, raw: IO[bytes], form: str, progress: Callable[[int], None] | None) -> None:
        self._hashed = _Hashed(raw)
        self._stream = Compressed(self._hashed, form)
        self._progress = progress
        self._parts: list[bytes] = []
        self._gathered = self._done = 0

    def add(self, file: File) -> Entry:
        """Read a file into the archive."""
        path, source, size, executable = file[:4]
        try:
            handle = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                if size > CHUNK:
                    return self._large(file, handle)
                # a byte more than expected shows the end, or that it grew
                data = os.read(handle, size + 1)
                if len(data) != size:
                    return self._large(file, handle)
            finally:
                os.close(handle)
        except OSError as error:
            msg = f"{source!r} can't be read: {error.strerror}"
            raise BundleError(
                msg, hint="leave it out in .daskbridgeignore, or mend its permissions"
            ) from error
        self._put(header(path, size, executable=executable), data, _PADDING[size % BLOCK])
        return Entry(path, executable, size, sha256(data).digest())

    def close(self) -> str:
        """End the archive; return its sha256."""
        self._put(END)
        self._flush()
        self._stream.close()
        return self._hashed.sha256.hexdigest()

    def _large(self, file: File, handle: int) -> Entry:
        """Read a file in pieces: as many bytes as it has now."""
        os.lseek(handle, 0, os.SEEK_SET)
        size = left = os.fstat(handle).st_size
        self._put(header(file.path, size, executable=file.executable))
        content = sha256()
        while left and (data := os.read(handle, min(left, CHUNK))):
            content.update(data)
            self._put(data)
            left -= len(data)
        if left:
            msg = f"{file.source!r} shrank while it was packed"
            raise BundleError(msg, hint="leave out in .daskbridgeignore what other programs write to")
        self._put(_PADDING[size % BLOCK])
        return Entry(file.path, file.executable, size, content.digest())

    def _put(self, *parts: bytes) -> None:
        self._parts += parts
        self._gathered += sum(map(len, parts))
        if self._gathered >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._stream.write(b"".join(self._parts))
        self._done += self._gathered
        self._parts, self._gathered = [], 0
        if self._progress is not None:
            self._progress(self._done)
