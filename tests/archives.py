"""Archives of any kind, for nodes to take or to refuse, in each format that they read."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from daskbridge.code import Entry, Manifest
from daskbridge.node import compress as compressing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daskbridge.code import CodeBundle
    from daskbridge.node.install import Source

#: Parameters of a test that holds for each format.
FORMATS = [
    pytest.param(
        name, marks=pytest.mark.skipif(name not in compressing.FORMATS, reason=f"{name} is not read here")
    )
    for name in ("tar.gz", "tar.zst")
]


def compress(data: bytes, kind: str = "tar.gz") -> bytes:
    if kind == "tar.gz":
        return gzip.compress(data, 1)
    return zstd().compress(data, options={zstd().CompressionParameter.checksum_flag: 1})


def decompress(data: bytes, kind: str) -> bytes:
    return gzip.decompress(data) if kind == "tar.gz" else zstd().decompress(data)


def zstd() -> Any:
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def tar(*members: tuple[Any, ...]) -> bytes:
    """Pack (name, data, changes of the header) into a plain tar, whatever they are."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for name, data, *changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in (changes[0] if changes else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def header(name: str, size: int, **changes: Any) -> bytes:
    """Return one block that says what it likes."""
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def reference(files: Mapping[str, bytes], executable: frozenset[str] = frozenset(), **changes: Any) -> Any:
    """Announce ``files``."""
    entries = [
        Entry(name, executable=name in executable, size=len(data), sha256=sha256(data).digest())
        for name, data in files.items()
    ]
    told = {
        "digest": Manifest(tuple(entries)).digest,
        "format": "tar.gz",
        "size": 0,
        "files": len(entries),
        "bytes": sum(map(len, files.values())),
        "sys_path": [""],
        "url": None,
    }
    return told | changes


def from_file(bundle: CodeBundle, log: list[str] | None = None) -> list[Source]:
    """Return the sources of an install: the bundle's archive, noted in ``log`` when it is read."""

    def read() -> Iterator[bytes]:
        if log is not None:
            log.append(bundle.digest)
        yield bundle.archive.read_bytes()

    return [("test", read)]


def nothing() -> Iterator[bytes]:
    raise AssertionError("the source was asked")


def in_pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
