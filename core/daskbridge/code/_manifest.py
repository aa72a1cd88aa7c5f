"""The list of a bundle's files and the digest that names their tree."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from daskbridge.node.unpack import TreeDigest

if TYPE_CHECKING:
    from collections.abc import Iterable


class Entry(NamedTuple):
    """Describe one file as it is in the bundle; ``sha256`` is of its content."""

    path: str
    executable: bool
    size: int
    sha256: bytes


class Manifest:
    """List a bundle's files, in the order of their path's bytes.

    ``digest`` and ``size`` are computed, unless they are known; then ``entries`` are not looked at
    before somebody asks for them.

    >>> empty = __import__("hashlib").sha256(b"").digest()
    >>> Manifest([Entry("a.py", False, 0, empty)]).digest[:12]
    '88598ec17cd8'
    """

    def __init__(
        self, entries: Iterable[Entry], *, digest: str | None = None, size: int | None = None
    ) -> None:
        self._entries = entries
        self._digest = digest
        self._size = size

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Return one entry for each file."""
        return tuple(self._entries)

    @cached_property
    def digest(self) -> str:
        """Return the tree's name: equal for equal trees, whatever machine or compressor packed them."""
        if self._digest is not None:
            return self._digest
        fold = TreeDigest()
        for entry in sorted(self.entries, key=lambda entry: entry.path):
            fold.add(entry.path, executable=entry.executable, size=entry.size, content=entry.sha256)
        return fold.hexdigest()

    @property
    def size(self) -> int:
        """Return the bytes of all files, unpacked."""
        return self._size if self._size is not None else sum(entry.size for entry in self.entries)
