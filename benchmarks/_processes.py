"""The processes below this one, as /proc shows them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")
SIGCHLD_BIT = 1 << (signal.SIGCHLD - 1)


@dataclass(frozen=True)
class Process:
    """One process: CPU seconds are its own and those of the children that it waited for."""

    pid: int
    parent: int
    state: str
    cpu: float

    @property
    def ignores_children(self) -> bool:
        """Tell whether the CPU of its children is lost, since the kernel reaps them."""
        return bool(status(self.pid, "SigIgn:", base=16) & SIGCHLD_BIT)


def status(pid: int, key: str, base: int = 10) -> int:
    """Return a number of /proc's ``status``; sizes are in KiB; 0 for a process that has ended."""
    try:
        lines = Path("/proc", str(pid), "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1], base) for line in lines if line.startswith(key)), 0)


def inherit_orphans() -> None:
    """Become the parent of each process below this one whose parent ends; needs Linux."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process can't become the parent of orphans")


def descendants() -> dict[int, Process]:
    """Return all processes below this one, among them those that ended and nobody waited for."""
    everybody = {process.pid: process for process in _everybody()}
    below: dict[int, Process] = {}
    for pid, process in everybody.items():
        above = process.parent
        while above in everybody and above != os.getpid():
            above = everybody[above].parent
        if above == os.getpid():
            below[pid] = process
    return below


def carrying(variable: str) -> dict[int, Process]:
    """Return all other processes that were started with ``NAME=value`` in their environment.

    Those that a fork made of them count, too, whoever is their parent now.
    """
    found = {}
    for process in _everybody():
        try:
            environ = Path("/proc", str(process.pid), "environ").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):  # ended, or another user's
            continue
        if variable.encode() in environ.split(b"\0") and process.pid != os.getpid():
            found[process.pid] = process
    return found


def end_descendants() -> None:
    """Kill and wait for whatever is left below this process, and for what that starts meanwhile."""
    while below := descendants():
        for pid, process in below.items():
            if process.state != "Z":
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # the last one
            while os.wait4(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.005)


def _everybody() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            values = text.rpartition(")")[2].split()
            cpu = sum(map(int, values[11:15])) / TICKS
            found.append(Process(int(entry.name), int(values[1]), values[0], cpu))
    return found
