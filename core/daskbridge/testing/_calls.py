"""A body that failed is not to be run again: else a program of the kit's would go on for ever."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Calls:
    """Count how often bodies are called while runs go on; say so where one that failed is called again."""

    def __init__(self, again: Callable[[], object]) -> None:
        self._again = again
        self._lock = threading.Lock()
        self._going = self._expected = self._calls = 0
        self._failed = False

    @contextmanager
    def run(self, times: int) -> Iterator[None]:
        """Expect so many calls of a body, beside those of the runs that go on at the same time."""
        with self._lock:
            if not self._going:
                self._expected = self._calls = 0
                self._failed = False
            self._going += 1
            self._expected += times
        try:
            yield
        finally:
            with self._lock:
                self._going -= 1

    @contextmanager
    def call(self) -> Iterator[None]:
        """Take part in a call of a body."""
        with self._lock:
            self._calls += 1
            if self._failed and self._calls > self._expected:
                self._again()
        try:
            yield
        except BaseException:
            self._failed = True
            raise
