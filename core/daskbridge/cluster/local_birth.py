"""Bring a node of a local cluster to life: a fork of this process, or a fresh interpreter."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from daskbridge.cluster._process import die_with_parent
from daskbridge.cluster.local_channel import Channel

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

_PROGRAM = "from daskbridge.cluster.local_node import spawned; spawned()"


@dataclass
class Node:
    """Hold one process, and what it has said of itself."""

    name: str
    group: str | None
    limit: int | None
    pid: int
    channel: Channel
    born: float
    address: str = ""
    error: str = ""
    reason: str = ""

    def order(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Give an order; one that is stopped gets it when it goes on."""
        self.channel.send(**message)

    def kill(self) -> None:
        """End the process, which has not been waited for yet, and all that it has started; at once."""
        self.sweep()
        os.kill(self.pid, signal.SIGKILL)  # it may not have a group of its own yet

    def sweep(self) -> None:
        """End what the process has started and left; before it is waited for, as its number is free then."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def bear(spec: dict[str, Any], lifeline: int, shed: Callable[[], None], *, fork: bool) -> tuple[int, Channel]:
    """Start the node that ``spec`` describes; return its process id and the channel to it. Raises OSError.

    ``shed`` closes, in the new process, what belongs to this one. Without ``fork``, and for a node whose
    environment has what must be there from the start, the new process becomes a fresh interpreter.
    """
    ours, theirs = socket.socketpair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
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
    channel = Channel(ours)
    channel.send(**spec)
    return pid, channel


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
    return {**spec["environ"], "TMPDIR": spec["temporary"], **started, **spec["env"]}


def _differ(environ: dict[str, str]) -> None:
    """Take from a fork what it has in common with its siblings: environment, ``__main__``, random numbers."""
    import tempfile
    import time
    from types import ModuleType

    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    tempfile.tempdir = None
    sys.modules["__main__"] = ModuleType("__main__")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if numbers := sys.modules.get("numpy.random"):
        numbers.seed()
