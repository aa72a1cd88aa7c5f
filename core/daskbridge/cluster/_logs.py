"""Bring what workers print and log to the driver's logging, and keep the last lines."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Logs = logging.Logger | logging.LoggerAdapter[Any]

#: Lines kept of each worker, for the story of its end.
KEPT = 50

logger = logging.getLogger("daskbridge.worker")


class LogReceiver:
    """Log each worker's lines with the worker's name, on the core's loop.

    They go to ``to``, an orchestrator's logger, or else to ``daskbridge.worker``. There, a program that
    has not configured logging at all sees them on stderr, as it would see the prints of threads of its own.
    """

    def __init__(self, to: Logs | None = None) -> None:
        self._to = to
        self.batches: dict[str, int] = defaultdict(int)
        self.last: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))

    def listen(self, client: Any) -> None:  # noqa: ANN401 -- an asynchronous Client
        """Take what workers forward."""
        from daskbridge.node.logs import TOPIC

        client.subscribe_topic(TOPIC, self)

    async def finish(self, client: Any, names: Mapping[str, str]) -> None:  # noqa: ANN401 -- as above
        """Wait until every batch that the workers say they sent has arrived; ``names`` by address."""
        from daskbridge.node.logs import FLUSH

        told = await client.scheduler.broadcast(msg={"op": FLUSH}, on_error="ignore")
        # who has just joined may not know yet what is asked
        sent = {address: number for address, number in told.items() if number is not None}
        while any(self.batches[names.get(address, address)] < number for address, number in sent.items()):
            await asyncio.sleep(0.01)

    def __call__(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take one event of :data:`daskbridge.node.logs.TOPIC`."""
        worker = event[1]["name"]  # the scheduler puts the address into "worker"
        self.batches[worker] += 1
        for level, name, text in event[1]["lines"]:
            self.last[worker].append(text)
            self._emit(level, worker, text if name in {"stdout", "stderr"} else f"{name}: {text}")
        if dropped := event[1]["dropped"]:
            self._emit(logging.WARNING, worker, f"{dropped} lines dropped (daskbridge.log-rate)")

    def _emit(self, level: int, worker: str, text: str) -> None:
        if self._to is not None:
            self._to.log(level, "[%s] %s", worker, text)
        elif logger.hasHandlers():
            # handle(), not log(): the worker's levels have decided already, and a print has none
            arguments = (logger.name, level, "", 0, "[%s] %s", (worker, text), None)
            logger.handle(logger.makeRecord(*arguments, extra={"worker": worker}))
        else:
            clear = "\r\x1b[2K" if sys.stderr.isatty() else ""  # the display's line may be there
            sys.stderr.write(f"{clear}{worker} | {text}\n")
