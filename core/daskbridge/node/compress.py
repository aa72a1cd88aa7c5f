"""Compress and decompress archives: with zstd where this Python has it, with gzip everywhere."""

from __future__ import annotations

import zlib
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 1 << 20
#: Levels beyond which time grows faster than size shrinks; the window bounds a reader's memory to 8 MiB.
_ZSTD_LEVEL, _GZIP_LEVEL, _WINDOW = 3, 1, 23
_GZIP = 31
#: How data compressed with zstd begins.
_MAGIC = b"\x28\xb5\x2f\xfd"


def _import_zstd() -> Any:  # noqa: ANN401 -- a module that may be absent
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


_zstd = _import_zstd()
#: What this process reads and writes, the best first.
FORMATS: tuple[str, ...] = ("tar.zst", "tar.gz") if _zstd else ("tar.gz",)
#: What damaged data raises.
DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, *((_zstd.ZstdError,) if _zstd else ()))


class Sink(Protocol):
    """Take data."""

    def write(self, data: bytes, /) -> object:
        """Add all of it."""


class Compressed:
    """Write compressed data to ``raw``; ``close()`` writes the end and leaves ``raw`` open."""

    def __init__(self, raw: Sink, form: str) -> None:
        self._raw = raw
        if form == "tar.zst":
            level, checksum = (
                _zstd.CompressionParameter.compression_level,
                _zstd.CompressionParameter.checksum_flag,
            )
            self._compressor = _zstd.ZstdCompressor(options={level: _ZSTD_LEVEL, checksum: 1})
        else:
            self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, data: bytes) -> None:
        """Add data."""
        self._raw.write(self._compressor.compress(data))

    def close(self) -> None:
        """Write what is left."""
        self._raw.write(self._compressor.flush())


class Plain:
    """Read what was compressed, in whatever format, from pieces of it, a few of them in memory at a time.

    Raises one of :data:`DAMAGED`; what follows the end of the compressed data counts as damage.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = _plain(iter(pieces))
        self._piece, self._at = b"", 0

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end only."""
        at = self._at
        if at + size <= len(self._piece):
            self._at = at + size
            return self._piece[at : self._at]
        found = [self._piece[at:]]
        missing = size - len(found[0])
        self._piece, self._at = b"", 0
        for piece in self._pieces:
            found.append(piece[:missing])
            if len(piece) >= missing:
                self._piece, self._at = piece, missing
                break
            missing -= len(piece)
        return b"".join(found)


def recompress(pieces: Iterable[bytes], raw: Sink, form: str) -> None:
    """Write what was compressed to ``raw`` in another format."""
    stream = Compressed(raw, form)
    for piece in _plain(iter(pieces)):
        stream.write(piece)
    stream.close()


def form_of(start: bytes) -> str:
    """Return the format of an archive that begins so."""
    return "tar.zst" if start.startswith(_MAGIC) else "tar.gz"


def _plain(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    while len(first) < len(_MAGIC) and (piece := next(pieces, b"")):
        first += piece
    zstd = form_of(first) == "tar.zst"
    if zstd and not _zstd:
        raise EOFError("zstd is not here to read it: the environment needs backports.zstd, or Python 3.14")
    yield from (_unzstd if zstd else _gunzip)(chain([first], pieces))


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    plain = zlib.decompressobj(_GZIP)
    for piece in pieces:
        _more_expected(plain)
        data = plain.decompress(piece, CHUNK)
        yield data
        while plain.unconsumed_tail or len(data) == CHUNK:
            data = plain.decompress(plain.unconsumed_tail, CHUNK)
            yield data
    _complete(plain)


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    most = {_zstd.DecompressionParameter.window_log_max: _WINDOW}
    plain = _zstd.ZstdDecompressor(options=most)
    for piece in pieces:
        _more_expected(plain)
        yield plain.decompress(piece, CHUNK)
        while not plain.needs_input and not plain.eof:
            yield plain.decompress(b"", CHUNK)
    _complete(plain)


def _more_expected(plain: Any) -> None:  # noqa: ANN401 -- either decompressor
    if plain.eof:
        raise EOFError("data after the end")


def _complete(plain: Any) -> None:  # noqa: ANN401 -- either decompressor
    if not plain.eof:
        raise EOFError("it ends too early")
    if plain.unused_data:
        raise EOFError("data after the end")
