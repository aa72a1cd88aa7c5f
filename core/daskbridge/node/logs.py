"""Send what user code prints and logs on a worker to the driver, as Dask events."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from distributed.diagnostics.plugin import WorkerPlugin

from . import Travels

if TYPE_CHECKING:
    from distributed import Worker

TOPIC = "daskbridge-logs"
FLUSH = "daskbridge_logs_flush"
#: Seconds for which lines are gathered before they are sent as one event.
GATHER = 0.05
LONGEST_LINE = 8192


class ForwardLogs(Travels, WorkerPlugin):
    """Forward prints and log records of one worker process; runs on every worker.

    ``rate`` is how many lines a second a worker may send in the long run, ``burst`` how many at
    once; what is above is dropped and counted. ``level`` is the root logger's level, as it is on
    the driver. A worker that lives in the driver's own process (``driver`` is its host name and
    process id) forwards nothing: what it prints is there already.
    """

    name = "daskbridge-logs"
    idempotent = False

    def __init__(self, *, level: int, rate: float, burst: int, driver: tuple[str, int]) -> None:
        self.level = level
        self.rate = rate
        self.burst = burst
        self.driver = driver

    def setup(self, worker: Worker) -> None:
        """Stand between user code and the process's streams and root logger."""
        self._undo: list[Any] = []
        if (socket.gethostname(), os.getpid()) == tuple(self.driver):
            worker.handlers[FLUSH] = _nothing_sent
            return
        outbox = _Outbox(worker, self.rate, self.burst)
        root, handler = logging.getLogger(), _Handler(outbox)
        before = (root.level, sys.stdout, sys.stderr)
        root.addHandler(handler)
        root.setLevel(self.level)
        sys.stdout = _Tee(sys.stdout, outbox, logging.INFO, "stdout")
        sys.stderr = _Tee(sys.stderr, outbox, logging.WARNING, "stderr")
        worker.handlers[FLUSH] = outbox.flush

        def undo() -> None:
            root.removeHandler(handler)
            root.setLevel(before[0])
            sys.stdout, sys.stderr = before[1:]
            worker.handlers.pop(FLUSH, None)

        self._undo.append(undo)

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 -- the signature is distributed's
        """Put streams and root logger back."""
        while self._undo:
            self._undo.pop()()


def _nothing_sent() -> int:
    return 0


class _Outbox:
    """Gather lines of all threads, within the rate, and send them from the worker's event loop."""

    def __init__(self, worker: Worker, rate: float, burst: int) -> None:
        self.worker, self.rate, self.burst = worker, rate, burst
        self.lock = threading.Lock()
        self.lines: list[tuple[int, str, str]] = []
        self.dropped = 0
        self.batches = 0
        self.tokens, self.filled = float(burst), time.monotonic()

    def put(self, level: int, logger: str, text: str) -> None:
        with self.lock:
            now = time.monotonic()
            self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate)
            self.filled = now
            if self.tokens < 1:
                self.dropped += 1
            else:
                self.tokens -= 1
                self.lines.append((level, logger, text[:LONGEST_LINE]))
            first = len(self.lines) + self.dropped == 1
        if first:
            self.worker.loop.add_callback(self.worker.loop.call_later, GATHER, self.flush)

    def flush(self) -> int:
        """Send what is there; return how many batches this worker has sent in all."""
        with self.lock:
            lines, self.lines = self.lines, []
            dropped, self.dropped = self.dropped, 0
            if lines or dropped:
                self.batches += 1
        if lines or dropped:
            event = {"name": str(self.worker.name), "lines": lines, "dropped": dropped}
            self.worker.log_event(TOPIC, event)
        return self.batches


class _Handler(logging.Handler):
    def __init__(self, outbox: _Outbox) -> None:
        super().__init__()
        self.outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == "distributed":
            return
        try:
            self.outbox.put(record.levelno, record.name, self.format(record))
        except Exception:  # noqa: BLE001 -- logging's own contract: never raise into user code
            self.handleError(record)


class _Tee:
    """Stand in for a stream: write through, and hand each whole line to the outbox."""

    def __init__(self, stream: TextIO, outbox: _Outbox, level: int, name: str) -> None:
        self._stream, self._outbox, self._level, self._name = stream, outbox, level, name
        self._rest = threading.local()

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        *whole, rest = (getattr(self._rest, "text", "") + text).split("\n")
        self._rest.text = rest[-LONGEST_LINE:]
        for line in whole:
            if line.strip():
                self._outbox.put(self._level, self._name, line)
        return written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the stream has
        return getattr(self._stream, name)
