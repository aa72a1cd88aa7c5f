"""Turn SIGTERM into an exception while a cluster is open, so that blocks are left in order."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class SigtermRaises:
    """Raise ``SystemExit(143)`` in the main thread on the first SIGTERM; ignore further ones.

    Without this, SIGTERM ends Python at once and no block is left. Counted, since blocks may
    overlap: the last one restores the default. Whoever has installed a handler of their own keeps
    it, and outside the main thread nothing is changed.
    """

    blocks = 0  # touched by the main thread only

    def __init__(self) -> None:
        self._counted = False

    def install(self) -> None:
        """Start to raise, where that can be done."""
        if threading.current_thread() is not threading.main_thread():
            return
        if SigtermRaises.blocks == 0:
            if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
                return
            signal.signal(signal.SIGTERM, _leave)
        SigtermRaises.blocks += 1
        self._counted = True

    def remove(self) -> None:
        """Stop to raise once the last block is left."""
        if not self._counted:
            return
        self._counted = False
        SigtermRaises.blocks -= 1
        if threading.current_thread() is not threading.main_thread():
            return  # a generator that was collected there: only the main thread may set handlers
        if SigtermRaises.blocks == 0 and signal.getsignal(signal.SIGTERM) in {_leave, signal.SIG_IGN}:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # unless the body has installed one of its own


def _forget() -> None:
    """Start afresh in a forked child: it has no block to leave."""
    SigtermRaises.blocks = 0
    if signal.getsignal(signal.SIGTERM) is _leave:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


os.register_at_fork(after_in_child=_forget)
