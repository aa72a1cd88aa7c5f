"""End a cluster that lost its owner: what a driver that was killed can't do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import SchedulerPlugin

from . import Travels
from .guard import TOPIC

if TYPE_CHECKING:
    from distributed import Scheduler

#: Seconds between two looks at the owner: at most, and at least.
LOOK, QUICK_LOOK = 1.0, 0.05


class OwnerLease(Travels, SchedulerPlugin):
    """End the scheduler, and with it the workers, when nobody owns the cluster any more.

    The owner is the client whose id contains ``owner``. All terms are in seconds: it must connect
    within ``start``, may be gone for ``grace`` and silent for ``stale``, and nobody keeps the cluster
    longer than ``lifetime``. The owner must be heard several times within ``stale``: a client that
    lives and has nothing to do sends heartbeats.

    All but the lifetime are measured while the scheduler is awake: one that was suspended or busy
    could not hear its owner. Given to a scheduler at its start or registered later, it works from then on.
    """

    name = "daskbridge-lease"
    idempotent = False
    _watching: asyncio.Task[None] | None = None

    def __init__(
        self, *, owner: str, start: float, grace: float, stale: float, lifetime: float | None
    ) -> None:
        self.owner = owner
        self.patience = start
        self.grace = grace
        self.stale = stale
        self.lifetime = lifetime

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to watch; nothing else keeps the cluster alive from now on."""
        limits = (self.patience, self.grace, self.stale, self.lifetime or LOOK)
        self._look = max(QUICK_LOOK, min(LOOK, *(limit / 4 for limit in limits)))
        self._came = any(self.owner in client for client in scheduler.clients)
        self._away = self._silent = self._heard = 0.0
        self._watching = asyncio.create_task(self._watch(scheduler))

    def add_client(self, scheduler: Scheduler, client: str) -> None:  # noqa: ARG002 -- Dask's signature
        """Learn that the owner came, even one that is gone before the next look."""
        if self.owner in client:
            self._came, self._away = True, -self._look

    async def close(self) -> None:
        """Stop watching: the scheduler ends."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, scheduler: Scheduler) -> None:
        began, reason = time.monotonic(), None
        while reason is None:
            await asyncio.sleep(self._look)
            if self not in scheduler.plugins.values():
                return  # another lease took its place
            reason = self._over(scheduler, time.monotonic() - began)
        scheduler.log_event(TOPIC, {"kind": "lease-ended", "reason": reason})
        # who is connected learns why: the end drops what is not sent yet
        await asyncio.sleep(QUICK_LOOK)
        self._ending = asyncio.ensure_future(scheduler.close(reason=reason))  # it closes this plugin, too

    def _over(self, scheduler: Scheduler, age: float) -> str | None:
        """Say why the lease is over, or None; a look counts for no more, however late it comes."""
        if self.lifetime is not None and age > self.lifetime:
            return f"its lifetime of {self.lifetime:g} s is over"
        heard = [state.last_seen for client, state in scheduler.clients.items() if self.owner in client]
        self._came |= bool(heard)
        if not self._came:
            self._away += self._look
            return f"no owner came within {self.patience:g} s" if self._away > self.patience else None
        if not heard:
            self._away += self._look
            return f"its owner has been gone for {self.grace:g} s" if self._away > self.grace else None
        self._silent = self._silent + self._look if max(heard) == self._heard else 0.0
        self._away, self._heard = -self._look, max(heard)  # it may have left just before the next look
        return f"its owner has been silent for {self.stale:g} s" if self._silent > self.stale else None
