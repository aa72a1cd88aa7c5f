"""What a program printed, for a person who looks for what went wrong."""

from __future__ import annotations

import re
from itertools import groupby

#: By how a line differs from the one before that says the same, a while later.
SECONDS = re.compile(r"\s+\d+ s\b")


def folded(text: str) -> str:
    r"""Leave the last of lines in a row that differ in no more than the seconds that they tell.

    >>> print(folded("start   1 s  waiting: nodes\nstart  20 s  waiting: nodes\nready"))
    start  20 s  waiting: nodes  (the last of 2 such lines)
    ready
    """
    found = [list(lines) for _, lines in groupby(text.splitlines(), lambda line: SECONDS.sub("", line))]
    return "\n".join(_words(lines) for lines in found)


def _words(lines: list[str]) -> str:
    return lines[-1] if len(lines) == 1 else f"{lines[-1]}  (the last of {len(lines)} such lines)"
