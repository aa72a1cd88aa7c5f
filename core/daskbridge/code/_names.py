"""Tell quickly of most names that no ignore rule means them: asking each rule costs more than all else."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Names:
    """Hold the names that some gitignore patterns may mean; a few more, never one less.

    A pattern means an entry only if its last part fits the entry's name: what lies below a
    directory that it means is decided with that directory.

    >>> names = Names(["*.pyc", "build/", "!/docs/*.tmp"])
    >>> [name in names for name in ("job.py", "job.pyc", "Build", "x.tmp")]
    [False, True, True, True]
    """

    def __init__(self, patterns: Iterable[str], above: Names | None = None) -> None:
        self.patterns: frozenset[str] = frozenset(map(_last, patterns)) | (
            above.patterns if above else frozenset()
        )

        literal, starts, ends, others = set(), [], [], []
        for pattern in self.patterns:
            if not _wild(pattern):
                literal.add(pattern)
            elif pattern[:1] == "*" and not _wild(pattern[1:]):
                ends.append(pattern[1:])
            elif pattern[-1:] == "*" and not _wild(pattern[:-1]):
                starts.append(pattern[:-1])
            else:
                others.append(fnmatch.translate(pattern))
        self._literal, self._starts, self._ends = literal, tuple(starts), tuple(ends)
        self._others = re.compile("|".join(others)) if others else None

    def __contains__(self, name: str) -> bool:
        lower = name.lower()
        return (
            lower in self._literal
            or lower.endswith(self._ends)
            or lower.startswith(self._starts)
            or (self._others is not None and self._others.match(lower) is not None)
            or not name.isascii()
        )


def _last(pattern: str) -> str:
    """Return what an entry's name has to look like for ``pattern`` to mean it; ``*`` if in doubt."""
    last = re.sub(r"\[\w+\]", "?", pattern).removeprefix("!").rstrip("/").rpartition("/")[2].lower()
    odd = pattern != pattern.strip() or not last or any(each in last for each in "\\[")
    return "*" if odd else last


def _wild(pattern: str) -> bool:
    return any(each in pattern for each in "*?")
