"""Receive what workers print and log, pass it to the driver's logging, keep the last lines."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict, deque
from typing import Any

#: Lines kept of each worker, for the story of its end.
KEPT = 50

logger = logging.getLogger("daskbridge.worker")


class LogReceiver:
    """Log each worker's lines under ``daskbridge.worker`` with the worker's name; on the core's loop.

    A program that has not configured logging at all sees them on stderr, as it would see the
    prints of threads of its own.
    """

    def __init__(self) -> None:
        self.batches: dict[str, int] = defaultdict(int)
        self.last: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.dropped: dict[str, int] = defaultdict(int)

    def __call__(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take one event of :data:`daskbridge.node.logs.TOPIC`."""
        worker = event[1]["name"]  # the scheduler puts the address into "worker"
        self.batches[worker] += 1
        for level, name, text in event[1]["lines"]:
            self.last[worker].append(text)
            self._emit(level, worker, text if name in {"stdout", "stderr"} else f"{name}: {text}")
        if dropped := event[1]["dropped"]:
            self.dropped[worker] += dropped
            self._emit(logging.WARNING, worker, f"{dropped} lines dropped (daskbridge.log-rate)")

    def _emit(self, level: int, worker: str, text: str) -> None:
        if logger.hasHandlers():
            # handle(), not log(): the worker's levels have decided already, and a print has none
            arguments = (logger.name, level, "", 0, "[%s] %s", (worker, text), None)
            logger.handle(logger.makeRecord(*arguments, extra={"worker": worker}))
        else:
            clear = "\r\x1b[2K" if sys.stderr.isatty() else ""  # the display's line may be there
            sys.stderr.write(f"{clear}{worker} | {text}\n")
