"""What a process prints, read on the core's loop as it comes; the last lines are kept."""

from __future__ import annotations

import asyncio
from collections import deque

#: Lines that are kept, and bytes of each of them.
KEPT, LONGEST = 200, 4096


class Output(asyncio.Protocol):
    """Keep the last lines of what a process prints."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.closed = asyncio.Event()
        self._rest = b""
        self._pipe: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._pipe = transport

    def data_received(self, data: bytes) -> None:
        """Take what was printed."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:LONGEST]
        self.lines.extend(line[:LONGEST].decode("utf-8", "replace") for line in whole)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Take the last line, which may lack its end."""
        if self._rest:
            self.data_received(b"\n")
        self.closed.set()

    def close(self) -> None:
        """Read no more."""
        if self._pipe is not None:
            self._pipe.close()
