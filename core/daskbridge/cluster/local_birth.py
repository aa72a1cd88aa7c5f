"""Bring a node of a local cluster to life: a fork of this process, or a fresh interpreter."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from daskbridge.cluster._process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

#: What must be in the environment when a process starts: a fork would come too late for these.
AT_START = (
    "BLIS_",
    "DASK_",
    "GOTO_",
    "KMP_",
    "LANG",
    "LC_",
    "LD_",
    "MALLOC_",
    "MKL_",
    "NUMEXPR_",
    "OMP_",
    "OPENBLAS_",
    "PYTHON",
    "VECLIB_",
)

#: Seconds for a node to take an order; only one that is stopped does not.
PATIENCE = 5.0
_PROGRAM = "from daskbridge.cluster.local_node import spawned; spawned()"


@dataclass
class Node:
    """Hold one process, and what it has said of itself."""

    name: str
    group: str | None
    limit: int | None
    pid: int
    socket: socket.socket
    born: float
    address: str = ""
    error: str = ""
    reason: str = ""
    leaving: bool = False
    _rest: bytes = field(default=b"", repr=False)

    def order(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Send an order; a node that has ended needs none."""
        with suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def said(self) -> list[dict[str, Any]] | None:
        """Return what it has said since, or None once it will say no more."""
        try:
            data = self.socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def kill(self) -> None:
        """End the process, which has not been waited for yet, and all that it has started; at once."""
        self.sweep()
        os.kill(self.pid, signal.SIGKILL)  # it may not have a group of its own yet

    def sweep(self) -> None:
        """End what the process has started and left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def bear(
    spec: dict[str, Any], lifeline: int, shed: Callable[[], None], *, fork: bool
) -> tuple[int, socket.socket]:
    """Start the node that ``spec`` describes; return its process id and the supervisor's end of its socket.

    ``shed`` closes, in the new process, what belongs to this one. Without ``fork``, and for a node whose
    environment has what must be there from the start, the new process becomes a fresh interpreter.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            shed()
            fork = fork and not any(name.startswith(AT_START) for name in spec["env"])
            _become(spec, theirs, lifeline, fork=fork)
        except BaseException:  # noqa: BLE001 -- nothing may return into the supervisor's code
            traceback.print_exc()
        os._exit(1)
    theirs.close()
    ours.settimeout(PATIENCE)
    ours.sendall(json.dumps(spec).encode() + b"\n")
    return pid, ours


def _become(spec: dict[str, Any], orders: socket.socket, lifeline: int, *, fork: bool) -> NoReturn:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.makedirs(spec["directory"], exist_ok=True)
    os.chdir(spec["directory"])
    if not fork:
        environ = _environ(spec)
        for kept in (orders.fileno(), lifeline):
            os.set_inheritable(kept, True)
        program = [sys.executable, "-P", "-c", _PROGRAM, str(orders.fileno()), str(lifeline)]
        os.execve(sys.executable, program, environ)  # noqa: S606 -- this interpreter
    die_with_parent()
    _differ(_environ(spec))
    from daskbridge.cluster.local_node import play

    play(orders, lifeline)
    os._exit(0)


def _environ(spec: dict[str, Any]) -> dict[str, str]:
    """Return a node's environment: its own, this process's where that counts from the start, the driver's."""
    started = {name: value for name, value in os.environ.items() if name.startswith(AT_START)}
    return {**spec["environ"], **started, **spec["env"]}


def _differ(environ: dict[str, str]) -> None:
    """Take from a fork what it has in common with its siblings: environment, ``__main__``, random numbers."""
    import time
    from types import ModuleType

    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.modules["__main__"] = ModuleType("__main__")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if numbers := sys.modules.get("numpy.random"):
        numbers.seed()
