"""What the processes of a local cluster have in common: how they end with those who started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: Of Linux: the signal that a process gets when the thread that started it ends (prctl(2)).
PR_SET_PDEATHSIG = 1


def default_signals() -> None:
    """Handle all signals as a fresh interpreter does, whatever the parent blocks or ignores."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    for number in ignored - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python ignores these
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel send ``number`` to this process when its parent ends; where it can't, do nothing.

    Python code can't catch what comes while a task holds the interpreter's lock, so by default it is SIGKILL.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it ended in between
        os.kill(os.getpid(), number)
