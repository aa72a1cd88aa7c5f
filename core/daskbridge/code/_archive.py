"""Write the archive: sorted, regular files only, nothing of this machine but names and content."""

from __future__ import annotations

import gzip
import os
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._manifest import Entry, Manifest
from daskbridge.errors import BundleError
from daskbridge.node.unpack import BLOCK, CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daskbridge.code._walk import File

_END = bytes(2 * BLOCK)


def write_archive(files: Iterable[File], target: Path) -> Manifest:
    """Write ``files`` to ``target`` as tar.gz and return the manifest of what was written.

    Each file is read once, so the digest is of the archived bytes even if a file changes
    meanwhile; memory stays at one chunk. Raises :class:`~daskbridge.errors.BundleError` if a
    file can't be read or shrinks while it is read.
    """
    with target.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as stream:
        entries = tuple(_add(file, stream) for file in files)
        stream.write(_END)
    return Manifest(entries)


def _add(file: File, stream: gzip.GzipFile) -> Entry:
    try:
        with Path(file.source).open("rb", buffering=0) as source:
            size = os.fstat(source.fileno()).st_size
            stream.write(_header(file, size))
            content, left = sha256(), size
            while data := source.read(min(left, CHUNK)):
                content.update(data)
                stream.write(data)
                left -= len(data)
    except OSError as error:
        msg = f"{file.source!r} can't be read: {error.strerror}"
        raise BundleError(msg, hint="leave it out in .daskbridgeignore, or mend its permissions") from error
    if left:
        msg = f"{file.source!r} shrank while it was packed"
        raise BundleError(msg, hint="leave out in .daskbridgeignore what other programs write to")
    stream.write(bytes(-size % BLOCK))
    return Entry(file.path, file.executable, size, content.digest())


def _header(file: File, size: int) -> bytes:
    info = tarfile.TarInfo(file.path)
    info.size = size
    info.mode = 0o755 if file.executable else 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
