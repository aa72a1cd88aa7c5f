"""Write and read the headers of an archive of regular files, much faster than :mod:`tarfile` does.

What is written is byte for byte what :mod:`tarfile` writes in its PAX format.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
END = bytes(2 * BLOCK)
_NAME, _LONGEST_PATH = 100, 4096
_EMPTY = bytes(BLOCK)
_ZEROS = b"0" * 11


class NotOurs(ValueError):
    """Refuse a header that no archive of ours has."""


def _template(mode: int) -> tuple[bytes, bytes, bytes, int]:
    """Return what stands between name, size, checksum and end, and what that adds to the checksum."""
    info = tarfile.TarInfo()
    info.mode = mode
    block = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    spaces = block[:148] + b" " * 8 + block[156:]
    return block[100:124], block[135:148], block[154:], sum(spaces) - sum(_ZEROS)


_TEMPLATES = {False: _template(0o644), True: _template(0o755)}


def header(path: str, size: int, *, executable: bool) -> bytes:
    """Return the blocks in front of a file's content.

    >>> info = tarfile.TarInfo("pkg/a.py")
    >>> info.size = 5
    >>> header("pkg/a.py", 5, executable=False) == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    True
    """
    name = path.encode()
    if len(name) > _NAME or not path.isascii():
        info = tarfile.TarInfo(path)
        info.size, info.mode = size, 0o755 if executable else 0o644
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    owner, date, rest, known = _TEMPLATES[executable]
    length = b"%011o" % size
    checksum = b"%06o" % (known + sum(name) + sum(length))
    return b"".join((name.ljust(_NAME, b"\0"), owner, length, date, checksum, rest))


def headers(read: Callable[[int], bytes]) -> Iterator[tuple[str, int, bool]]:
    """Yield path, size and executable bit of each file; its content is to be read before the next one.

    ``read(size)`` returns fewer bytes at the end only. Raises :class:`NotOurs`, EOFError if it is cut short.
    """
    longer: str | None = None
    while (block := read(BLOCK)) != _EMPTY:
        if len(block) != BLOCK:
            raise EOFError("it ends too early")
        kind, size = block[156:157], _octal(block[124:135])
        if kind == b"x" and longer is None and 0 < size <= _LONGEST_PATH + 32:
            longer = _long_path(read(size + -size % BLOCK)[:size])
            continue
        if kind != b"0" or block[345:346] != b"\0":
            raise NotOurs(f"{block[:_NAME].rstrip(bytes(1))!r} is not a regular file, or has a prefix")
        name = block[:_NAME].rstrip(b"\0").decode() if longer is None else longer
        yield name, size, block[100:107] == b"0000755" or bool(_octal(block[100:107]) & 0o100)
        longer = None


def _octal(digits: bytes) -> int:
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise NotOurs(f"a header has {digits!r} for a number")
    return int(digits, 8)


def _long_path(record: bytes) -> str:
    length, _, rest = record.partition(b" path=")
    if not length.isdigit() or int(length) != len(record) or not rest.endswith(b"\n"):
        raise NotOurs(f"extended header {record[:40]!r} is not a single path")
    return rest[:-1].decode()
