"""Fold a manifest's digest and unpack an archive; refuse whatever is not exactly what was announced.

The driver folds the same digest while it packs, so this module is the one definition of it.
"""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
import zlib
from hashlib import sha256
from typing import IO, TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 512
CHUNK = 1 << 20
FORMATS = ("tar.gz",)
_LONGEST_PATH = 4096


class Reference(TypedDict):
    """Say which tree a node must have: all that travels inside a plugin."""

    digest: str
    format: str
    size: int
    files: int
    bytes: int
    sys_path: list[str]
    url: str | None


class BundleRejected(ValueError):
    """Refuse an archive; nothing of it has become visible."""


class TreeDigest:
    """Fold entries, in the order of their path's bytes, into the digest of a tree.

    >>> TreeDigest().add("a.py", executable=False, size=0, content=sha256(b"").digest()).hexdigest()[:12]
    '88598ec17cd8'
    """

    def __init__(self) -> None:
        self._hash = sha256(b"daskbridge-bundle-v1\0")

    def add(self, path: str, *, executable: bool, size: int, content: bytes) -> TreeDigest:
        """Add one file: its NFC path, executable bit, size and the sha256 of its content."""
        name = path.encode()
        self._hash.update(
            struct.pack(">I", len(name)) + name + struct.pack(">?Q", executable, size) + content
        )
        return self

    def hexdigest(self) -> str:
        """Return the digest of what was added so far."""
        return self._hash.hexdigest()


def unpack(chunks: Iterable[bytes], target: str, reference: Reference) -> None:
    """Unpack an archive into the new directory ``target``, or raise :class:`BundleRejected`.

    Streams: memory stays at a few chunks. ``target`` may hold part of a refused archive, so it
    must be a staging directory.
    """
    if reference["format"] not in FORMATS:
        msg = f"archive format {reference['format']!r} is unknown here; this node reads {', '.join(FORMATS)}"
        raise BundleRejected(msg)
    stream = gzip.GzipFile(fileobj=_Chunks(chunks))  # type: ignore[call-overload]  # read() is all it needs
    try:
        digest = _unpack(stream, target, reference)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.HeaderError) as error:
        msg = f"the archive is damaged: {error}"
        raise BundleRejected(msg) from error
    if digest != reference["digest"]:
        msg = f"the archive holds the tree {digest[:12]}, expected {reference['digest'][:12]}"
        raise BundleRejected(msg)


def _unpack(stream: IO[bytes], target: str, reference: Reference) -> str:
    digest, made = TreeDigest(), {""}
    last, count, total = b"", 0, 0
    os.mkdir(target, 0o700)
    for name, size, executable in _headers(stream):
        parent = _checked(name)
        if name.encode() <= last:
            msg = f"{name!r} is repeated or out of order"
            raise BundleRejected(msg)
        last, count, total = name.encode(), count + 1, total + size
        if count > reference["files"] or total > reference["bytes"]:
            msg = f"more than the announced {reference['files']} files or {reference['bytes']} bytes"
            raise BundleRejected(msg)
        try:
            if parent not in made:
                os.makedirs(os.path.join(target, parent), 0o700, exist_ok=True)
                made.add(parent)
            mode = 0o555 if executable else 0o444
            handle = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except (FileExistsError, NotADirectoryError) as error:
            msg = f"{name!r} is a file and a directory, or differs from another name only by case"
            raise BundleRejected(msg) from error
        with open(handle, "wb") as file:
            content = _copy(stream, file, size)
        digest.add(name, executable=executable, size=size, content=content)
    if stream.read(CHUNK).strip(b"\0"):
        msg = "data after the end of the archive"
        raise BundleRejected(msg)
    return digest.hexdigest()


def _headers(stream: IO[bytes]) -> Iterator[tuple[str, int, bool]]:
    longer: str | None = None
    while any(block := _exactly(stream, BLOCK)):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if info.type == tarfile.XHDTYPE and longer is None and 0 < info.size <= _LONGEST_PATH + 32:
            longer = _long_path(_exactly(stream, info.size + -info.size % BLOCK)[: info.size])
            continue
        if info.type != tarfile.REGTYPE or info.size < 0:
            msg = f"{info.name!r} is not a regular file"
            raise BundleRejected(msg)
        yield longer or info.name, info.size, bool(info.mode & 0o100)
        _exactly(stream, -info.size % BLOCK)
        longer = None


def _long_path(record: bytes) -> str:
    length, _, rest = record.partition(b" path=")
    if not length.isdigit() or int(length) != len(record) or not rest.endswith(b"\n"):
        msg = f"extended header {record[:40]!r} is not a single path"
        raise BundleRejected(msg)
    return rest[:-1].decode()


def _checked(name: str) -> str:
    """Return the parent of a name that is safe to create, or refuse the name."""
    parts = name.split("/")
    if (
        not set(parts).isdisjoint(("", ".", ".."))
        or any(bad in name for bad in "\\\0:")
        or not name.isprintable()
    ):
        msg = f"the name {name!r} is absolute, leaves the tree or is unsafe"
        raise BundleRejected(msg)
    return "/".join(parts[:-1])


def _copy(stream: IO[bytes], file: IO[bytes], size: int) -> bytes:
    content = sha256()
    while size:
        data = stream.read(min(size, CHUNK))
        if not data:
            raise EOFError("it ends within a file")
        content.update(data)
        file.write(data)
        size -= len(data)
    return content.digest()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) != size:
        raise EOFError("it ends too early")
    return data


class _Chunks:
    """Let :mod:`gzip` read from an iterable of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int = CHUNK) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data
