"""Messages between two processes of a local cluster, which never wait for each other."""

from __future__ import annotations

import json
import os
import socket
from typing import Any


class Channel:
    """Exchange JSON, one message a line, over a stream socket of this machine.

    What the other side does not take now is kept until :meth:`flush`: it may be stopped, and who supervises
    many must not wait for one.
    """

    def __init__(self, over: socket.socket) -> None:
        over.setblocking(False)
        self.socket = over
        #: Descriptors that came along and have not been taken yet.
        self.descriptors: list[int] = []
        self._rest = b""
        self._unsent = bytearray()

    @property
    def unsent(self) -> bool:
        """Tell whether something waits for :meth:`flush`."""
        return bool(self._unsent)

    def send(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Send a message, or keep it; a side that has ended needs none."""
        self._unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send what the other side takes now."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()  # reading tells of the end, after what was said before it

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the messages that have come since, or None once no more will come."""
        try:
            data, descriptors, *_ = socket.recv_fds(self.socket, 1 << 16, 8)
        except BlockingIOError:
            return []
        except OSError:
            return None
        for descriptor in descriptors:  # one that comes by a socket is passed on to programs otherwise
            os.set_inheritable(descriptor, False)
        self.descriptors += descriptors
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None
