"""On the scheduler: know which task runs have begun, and pass on what workers tell the flow's process.

This module travels: it uses the standard library and ``distributed`` only.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from . import Travels

if TYPE_CHECKING:
    from distributed import Scheduler

BEGIN = "daskbridge_prefect_begin"
KEEP = "daskbridge_prefect_keep"
FETCH = "daskbridge_prefect_fetch"
TELL = "daskbridge-prefect-tell"


class RunsOnScheduler(Travels, SchedulerPlugin):
    """Let each Dask task of a runner begin once, whatever happens to its worker.

    Dask runs a task again when its worker dies, also one that has ended and whose result was there.
    For a task run that would be a second run behind Prefect's back.
    """

    idempotent = False

    def __init__(self, topic: str, client: str) -> None:
        self.name = topic
        self.client = client

    async def start(self, scheduler: Scheduler) -> None:
        """Begin to listen; several runners share the handlers, each with a topic of its own."""
        self.scheduler = scheduler
        self.begun: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self._others(scheduler)[self.name] = self
        scheduler.handlers.update({BEGIN: self._begin, KEEP: self._keep, FETCH: self._fetch})
        scheduler.stream_handlers[TELL] = self._tell

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 -- the signature is distributed's
        """Forget what nobody will ask for again."""
        if finish == "forgotten":
            self.begun.discard(key)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Leave the scheduler as it was found once the flow's process is gone, in whatever way."""
        if client != self.client:
            return
        scheduler.plugins.pop(self.name, None)
        others = self._others(scheduler)
        others.pop(self.name, None)
        if not others:
            scheduler.extensions.pop(__name__, None)
            for name in (BEGIN, KEEP, FETCH):
                scheduler.handlers.pop(name, None)
            scheduler.stream_handlers.pop(TELL, None)

    @staticmethod
    def _others(scheduler: Scheduler) -> dict[str, RunsOnScheduler]:
        known: dict[str, RunsOnScheduler] = scheduler.extensions.setdefault(__name__, {})
        return known

    def _begin(self, topic: str, key: str, run: str) -> bool:
        """Answer whether a Dask task may go on to the user's code, and tell the flow: it may once."""
        runner = self._others(self.scheduler).get(topic)
        if runner is None or key in runner.begun:
            return False
        runner.begun.add(key)
        runner.pass_on(pickle.dumps([("begun", run)]))
        return True

    def _keep(self, topic: str, digest: str, blob: bytes) -> None:
        self._others(self.scheduler)[topic].blobs[digest] = blob

    def _fetch(self, topic: str, digest: str) -> bytes | None:
        runner = self._others(self.scheduler).get(topic)
        return runner.blobs.get(digest) if runner else None

    def _tell(self, topic: str, items: bytes, worker: str) -> None:  # noqa: ARG002 -- distributed says who told
        runner = self._others(self.scheduler).get(topic)
        if runner is not None:
            runner.pass_on(items)

    def pass_on(self, items: bytes) -> None:
        """Send as an event that nobody keeps: Dask's own ``log_event`` remembers a hundred thousand."""
        self.scheduler.report({"op": "event", "topic": self.name, "event": (0.0, items)}, client=self.client)
