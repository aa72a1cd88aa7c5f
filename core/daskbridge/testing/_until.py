"""Wait for what happens in other processes, within a bound, and say what was waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds between two looks.
LOOK = 0.02


def until(look: Callable[[], T], within: float, what: str, *, wanted: Callable[[T], object] = bool) -> T:
    """Return the first answer that is wanted.

    Raises TimeoutError with ``what`` and the last answer after ``within`` seconds.

    >>> until(lambda: 3, 1, "a number")
    3
    """
    end = time.monotonic() + within
    while not wanted(found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {within:g} s for {what}; the last look gave {found!r}")
        time.sleep(LOOK)
    return found
