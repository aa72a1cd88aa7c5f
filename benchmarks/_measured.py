"""Run a program from outside: when it tells what, and the CPU seconds of every process that comes of it.

The CPU of an ended process reaches its parent when that waits for it. A process whose parent ends first, be
it a daemon or the child of somebody who was killed, is inherited by the measuring process, which waits for
all of them. So the sum is complete when nobody is left. :func:`check_accounts` proves it with a known load.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from _processes import descendants, end_descendants, inherit_orphans

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds for one program and all that it leaves behind.
LIMIT = 240.0
BURNER = """
import os, signal, time

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    print("BURNT", time.process_time(), flush=True)

def child(job):
    pid = os.fork()
    if not pid:
        job()
        os._exit(0)
    return pid

def daemon():
    os.setsid()
    child(lambda: (time.sleep(0.3), burn(0.2)))

def careless():
    child(lambda: burn(0.2))
    time.sleep(60)

killed = child(careless)
os.waitpid(child(daemon), 0)
os.waitpid(child(lambda: os.waitpid(child(lambda: burn(0.1)), 0)), 0)
time.sleep(0.5)
os.kill(killed, signal.SIGKILL)
burn(0.1)
"""


@dataclass(frozen=True)
class Mark:
    """A moment that the program told: seconds since its start, CPU seconds until then.

    The program stood still from ``at`` to ``resumed``. The CPU of processes that live is known in steps of
    10 ms, so this is for moments at which few do.
    """

    name: str
    at: float
    resumed: float
    cpu: float


@dataclass
class Measured:
    """What one program took until the last of its processes had ended, and what it told."""

    began: float
    whole: float = 0.0
    cpu: float = 0.0
    marks: list[Mark] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)


class _FailedError(Exception):
    pass


def measure(command: list[str], directory: Path, environment: Mapping[str, str]) -> Measured:
    """Run ``command`` in ``directory``, follow what it tells and wait until all its processes have ended.

    ``MARK name`` on its standard output tells a moment, after which it waits for a line on standard input;
    ``TOLD {...}`` is kept. Raises SystemExit with its output if it fails or needs more than :data:`LIMIT`.
    Kills what is left then.
    """
    inherit_orphans()
    log = directory / "log"
    orders, told = os.pipe(), os.pipe()
    measured = Measured(time.monotonic())
    try:
        with log.open("wb") as errors:
            program = subprocess.Popen(  # noqa: S603 -- a program of these benchmarks
                command, cwd=directory, env=environment, stdin=orders[0], stdout=told[1], stderr=errors
            )
        program.returncode = 0  # waited for below, like all others
        os.close(told[1])
        _follow(program.pid, told[0], orders[1], measured)
    except _FailedError as failed:
        lines = [*measured.other, *log.read_text(errors="replace").splitlines()]
        raise SystemExit("\n".join([f"failed: {' '.join(command)}: {failed}", *lines[-60:]])) from None
    finally:
        for end in (*orders, told[0]):
            os.close(end)
        end_descendants()
    return measured


def _follow(main: int, told: int, orders: int, measured: Measured) -> None:
    rest, speaks = b"", True
    while _reap(main, measured):
        if time.monotonic() - measured.began > LIMIT:
            left = ", ".join(map(str, descendants()))
            raise _FailedError(f"not ended after {LIMIT:g} s; left are the processes {left}")
        if not speaks:
            time.sleep(0.005)
        elif select.select([told], [], [], 1.0)[0]:
            read = os.read(told, 2**16)
            speaks = bool(read)
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                _listen(line.decode(), orders, measured)
    measured.whole = time.monotonic() - measured.began


def _listen(line: str, orders: int, measured: Measured) -> None:
    at = time.monotonic() - measured.began
    word, _, rest = line.partition(" ")
    if word == "MARK":
        below = descendants()
        parents = {process.parent for process in below.values()}
        if lost := [pid for pid in parents if pid in below and below[pid].ignores_children]:
            raise _FailedError(f"process {lost[0]} ignores SIGCHLD: the CPU of its children can't be known")
        cpu = measured.cpu + sum(process.cpu for process in below.values())
        measured.marks.append(Mark(rest, at, time.monotonic() - measured.began, cpu))
        os.write(orders, b"\n")
    elif word == "TOLD":
        measured.told |= json.loads(rest)
    else:
        measured.other.append(line)


def _reap(main: int, measured: Measured) -> bool:
    """Wait for who has ended; return whether anybody is left."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not pid:
            return True
        measured.cpu += usage.ru_utime + usage.ru_stime
        if pid == main and status:
            raise _FailedError(f"exit code {os.waitstatus_to_exitcode(status)}")


def check_accounts() -> str:
    """Measure a known load, parts of it in processes that nobody else waits for; return what came of it.

    Raises SystemExit if the sum differs from what the processes say of themselves by more than the start of
    an interpreter and its forks.
    """
    with TemporaryDirectory() as directory:
        measured = measure([sys.executable, "-c", BURNER], Path(directory), os.environ)
    burnt = [float(line.removeprefix("BURNT ")) for line in measured.other]
    known = sum(burnt)
    if len(burnt) != 4 or not known - 0.01 <= measured.cpu <= known + 0.1:  # noqa: PLR2004 -- burn() is called four times
        raise SystemExit(f"the accounts are wrong: {burnt} CPU seconds were burnt, {measured.cpu:.3f} found")
    return f"{measured.cpu:.2f} of {known:.2f} CPU s of orphans, daemons and killed parents' children found"
