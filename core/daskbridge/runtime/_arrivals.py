"""Wait for the workers: who is ready, who is missing, who was turned away."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from daskbridge.errors import ONE_IMAGE, DaskbridgeError, EnvironmentMismatch, ProvisioningError
from daskbridge.runtime._delivery import equipped
from daskbridge.runtime._environment import in_words
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.runtime._connection import Connection
    from daskbridge.runtime._timeline import Progress

#: Seconds between two looks, at first and at most.
LOOK, SLOW_LOOK = 0.01, 1.0
#: Seconds between two looks at the connection.
WATCH = 0.1
#: Workers turned away after which a start is given up: a platform replaces them for ever.
MOST_REFUSED = 3

logger = logging.getLogger("daskbridge")


class Arrivals:
    """Keep what is known of a cluster's workers; on the core's loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ready: dict[str, str] = {}
        #: Names by address, also of workers that have left.
        self.names: dict[str, str] = {}
        #: Why workers were turned away, a sentence each.
        self.refused: list[str] = []
        #: Tells of a worker that can't take part.
        self.warn: Callable[..., None] = logger.warning
        self._differ = 0
        self._joined = asyncio.Event()

    async def wait(self, progress: Progress) -> None:
        """Return once every group has a worker, and all together as many as the body waits for.

        A worker counts once it has the code. Raises ProvisioningError as soon as the provisioner
        knows a failure, worker after worker is turned away, or the scheduler is lost.
        """
        looking, connected = asyncio.ensure_future(self._until_ready(progress)), time.monotonic()
        try:
            while not looking.done():
                await asyncio.wait({looking}, timeout=WATCH)
                if self._connection.running:
                    connected = time.monotonic()
                elif time.monotonic() - connected > setting("lost-timeout"):
                    self._connection.lost = True
                    address = self._connection.handle.ref.scheduler_address
                    msg = "\n".join(
                        [f"the scheduler at {address} was lost before the body began", *self.told()]
                    )
                    raise ProvisioningError(msg)
                if over := self._connection.lifetime.over():
                    raise over
            looking.result()
        finally:
            looking.cancel()
            await asyncio.wait({looking})

    def failure(self, message: str, hint: str | None = None) -> DaskbridgeError:
        """Word a failure to start: a wrong environment, if nothing else kept workers away, is no bad luck."""
        text = "\n".join([message, *self.told()])
        if self.refused and self._differ == len(self.refused):
            return EnvironmentMismatch(text, hint=ONE_IMAGE)
        return ProvisioningError(text, hint=hint)

    def told(self) -> list[str]:
        """Say which workers are ready, how many are missing, and who was turned away."""
        ready = ", ".join(f"{name} ({address})" for address, name in self._ready.items()) or "none"
        missing = self._connection.run.topology.workers_to_wait_for - len(self._ready)
        return [f"workers that are ready: {ready}; missing: {missing}", *self.refused]

    def event(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take one event of :data:`daskbridge.node.guard.TOPIC`."""
        kind, told = event[1].get("kind"), event[1]
        if "address" in told:
            self.names[told["address"]] = told["name"]
        if kind in {"worker-joined", "worker-differs"}:
            self._joined.set()
            self._connection.environment.joined(told["address"])
        if kind == "asked-to-end":
            self._connection.asked_to_end()
        elif kind == "lease-ended":
            self._connection.farewell = f"it ended itself: {told['reason']}"
        elif kind == "worker-differs":
            self._connection.environment.differs(told["name"], told["differs"])
        elif kind == "worker-refused":
            self._differ += 1
            differing = in_words(told["differs"])
            self._refuse(f"worker {told['name']} was turned away: its environment differs: {differing}")
        elif kind == "code-failed":
            self._refuse(f"worker {told['name']} could not get the code: {told['error']}")

    async def _until_ready(self, progress: Progress) -> None:
        pause = LOOK
        while True:
            self._joined.clear()  # before the look: who joins during it is seen by the next
            try:
                if await self._enough(progress):
                    return
            except OSError as error:  # the connection may come back
                progress.say(f"the scheduler does not answer: {error}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._joined.wait(), pause)
            pause = LOOK if self._joined.is_set() else min(2 * pause, SLOW_LOOK)

    async def _enough(self, progress: Progress) -> bool:
        if failure := await self._connection.failure():
            raise ProvisioningError(failure)
        if len(self.refused) >= MOST_REFUSED:
            raise self.failure("worker after worker can't take part")
        found = await self._running()
        if self._connection.code is not None:
            ready = await equipped(self._connection.client, self._connection.code)
            found = {address: name for address, name in found.items() if address in ready}
        self._ready = found
        topology = self._connection.run.topology
        progress.say(f"workers ready: {len(found)}, needed: {topology.workers_to_wait_for}")
        groups = list(topology.groups)
        empty = groups if len(groups) > 1 else []
        empty = [
            group for group in empty if not any(name.rpartition("-")[0] == group for name in found.values())
        ]
        if empty:
            progress.detail += f"; none yet of {', '.join(empty)}"
        return not empty and len(found) >= topology.workers_to_wait_for

    async def _running(self) -> dict[str, str]:
        identity = await self._connection.client.scheduler.identity()
        found = {
            address: str(worker["name"])
            for address, worker in identity["workers"].items()
            if worker["status"] == "running"
        }
        self.names.update(found)
        return found

    def _refuse(self, words: str) -> None:
        self.refused.append(words)
        self.warn("%s", words)
