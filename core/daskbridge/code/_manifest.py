"""The list of a bundle's files and the digest that names their tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from daskbridge.node.unpack import TreeDigest


class Entry(NamedTuple):
    """Describe one file as it is in the bundle; ``sha256`` is of its content."""

    path: str
    executable: bool
    size: int
    sha256: bytes


@dataclass(frozen=True)
class Manifest:
    """List a bundle's files, in the order of their path's bytes.

    >>> empty = __import__("hashlib").sha256(b"").digest()
    >>> Manifest((Entry("a.py", False, 0, empty),)).digest[:12]
    '88598ec17cd8'
    """

    entries: tuple[Entry, ...]

    @cached_property
    def digest(self) -> str:
        """Return the tree's name: equal for equal trees, whatever machine or compressor packed them."""
        fold = TreeDigest()
        for entry in sorted(self.entries, key=lambda entry: entry.path):
            fold.add(entry.path, executable=entry.executable, size=entry.size, content=entry.sha256)
        return fold.hexdigest()

    @property
    def size(self) -> int:
        """Return the bytes of all files, unpacked."""
        return sum(entry.size for entry in self.entries)
