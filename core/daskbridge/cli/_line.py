"""Show on a terminal, in one line of stderr, what is under way; leave nothing of it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLEAR = "\r\x1b[2K"
#: Seconds between two looks that a person can tell apart.
_PAUSE = 0.1


@contextmanager
def line() -> Iterator[Callable[[str], None]]:
    """Yield what shows words in place of those before; without a terminal it does nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    shown = 0.0

    def show(words: str) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _PAUSE:
            shown = time.monotonic()
            sys.stderr.write(CLEAR + words)
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(CLEAR)
        sys.stderr.flush()
