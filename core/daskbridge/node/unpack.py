"""Fold a manifest's digest and unpack an archive; refuse whatever is not exactly what was announced.

The driver folds the same digest while it packs, so this module is the one definition of it.
"""

from __future__ import annotations

import os
import struct
import unicodedata
from hashlib import sha256
from typing import TYPE_CHECKING, NotRequired, TypedDict

from .compress import CHUNK, DAMAGED, Plain
from .tar import BLOCK, NotOurs, headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

#: Bytes of zeros with which tar may fill the end.
_RECORD = 10240
_DAMAGED: tuple[type[Exception], ...] = (*DAMAGED, NotOurs, UnicodeDecodeError)


class Reference(TypedDict):
    """Say which tree a node must have: all that travels inside a plugin.

    ``working_directory`` is what of it each worker gets a copy of, to run in; None for nothing.
    """

    digest: str
    format: str
    size: int
    files: int
    bytes: int
    sys_path: list[str]
    working_directory: NotRequired[str | None]
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
    try:
        digest = _unpack(Plain(chunks).read, target, reference)
    except _DAMAGED as error:
        msg = f"the archive is damaged: {error}"
        raise BundleRejected(msg) from error
    if digest != reference["digest"]:
        msg = f"the archive holds the tree {digest[:12]}, expected {reference['digest'][:12]}"
        raise BundleRejected(msg)


def _unpack(read: Callable[[int], bytes], target: str, reference: Reference) -> str:
    digest, made, folded = TreeDigest(), {""}, set[str]()
    last, count, total = "", 0, 0
    os.mkdir(target, 0o700)
    for name, size, executable in headers(read):
        parent = _checked(name)
        if name <= last:  # characters are in the order of their bytes
            msg = f"{name!r} is repeated or out of order"
            raise BundleRejected(msg)
        last, count, total = name, count + 1, total + size
        if count > reference["files"] or total > reference["bytes"]:
            msg = f"more than the announced {reference['files']} files or {reference['bytes']} bytes"
            raise BundleRejected(msg)
        folded.add(fold(name))
        if len(folded) != count:
            msg = f"{name!r} differs from another name only by case or by how a letter is composed"
            raise BundleRejected(msg)
        try:
            if parent not in made:
                os.makedirs(f"{target}/{parent}", 0o700, exist_ok=True)
                made.add(parent)
            handle = os.open(f"{target}/{name}", _NEW, 0o555 if executable else 0o444)
        except (FileExistsError, NotADirectoryError) as error:
            msg = f"{name!r} is a file and a directory"
            raise BundleRejected(msg) from error
        try:
            content = _copy(read, handle, size)
        finally:
            os.close(handle)
        digest.add(name, executable=executable, size=size, content=content)
    rest = read(_RECORD + 1)
    if len(rest) > _RECORD or rest.strip(b"\0"):
        msg = "data after the end of the archive"
        raise BundleRejected(msg)
    return digest.hexdigest()


def fold(path: str) -> str:
    """Return what is equal for two paths that are one on some file systems."""
    folded = path.casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def _checked(name: str) -> str:
    """Return the parent of a name that is safe to create, or refuse the name."""
    inside = f"/{name}/"
    if "//" in inside or "/./" in inside or "/../" in inside or not portable(name):
        msg = f"the name {name!r} is absolute, leaves the tree or is unsafe"
        raise BundleRejected(msg)
    return name.rpartition("/")[0]


def portable(path: str) -> bool:
    """Tell whether a name can be a file's on every node."""
    return path.isprintable() and "\\" not in path and ":" not in path


def _copy(read: Callable[[int], bytes], handle: int, size: int) -> bytes:
    """Write ``size`` bytes, pass over what fills their last block, and return their sha256."""
    content, padding = sha256(), -size % BLOCK
    while size:
        part = min(size, CHUNK)
        data = read(part)
        if len(data) != part:
            raise EOFError("it ends within a file")
        content.update(data)
        size -= part
        done = os.write(handle, data)
        while done < part:
            done += os.write(handle, data[done:])
    if len(read(padding)) != padding:
        raise EOFError("it ends too early")
    return content.digest()
