"""What the scheduler of a local cluster does for its supervisor: tell events, retire workers, adapt."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self, cast

from distributed import SchedulerPlugin
from distributed.core import Status
from distributed.deploy.adaptive import Adaptive

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Scheduler
    from tornado.ioloop import IOLoop


logger = logging.getLogger("distributed.scheduler")


#: How stimuli begin that remove a worker for good: Dask's own, and that of the guard.
FOR_GOOD = ("retire-workers", "daskbridge-environment-mismatch")


class SchedulerOrders:
    """Obey what the supervisor orders; with ``adapt`` in the spec, ask it for more or fewer workers."""

    def __init__(self, scheduler: Scheduler, spec: dict[str, Any], reply: Callable[..., None]) -> None:
        self._scheduler = scheduler
        self._spec = spec
        self._reply = reply
        self._adaptive: Adaptive | None = None
        self._adapted: Adapted | None = None
        self._retiring: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        if limits := self._spec["adapt"]:
            self._adapted = Adapted(self._scheduler, self._reply, limits["minimum"])
            self._adaptive = Adaptive(cast("Any", self._adapted), **limits)
        self._scheduler.add_plugin(Retirements(self._reply), name=Retirements.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._adaptive is not None:
            self._adaptive.stop()
        for retiring in self._retiring:
            retiring.cancel()

    async def obey(self, order: dict[str, Any]) -> None:
        """Log an event or a line, or begin to retire workers: their data moves to the others first."""
        if "event" in order:
            self._scheduler.log_event(order["topic"], order["event"])
        if "log" in order:
            logger.warning(order["log"])
        if "number" in order and self._adapted is not None:
            self._adapted.number = order["number"]
        if "retire" in order:
            names = [name for name in order["retire"] if name in self._scheduler.aliases]
            retiring = asyncio.create_task(
                self._scheduler.retire_workers(names=names, close_workers=True, remove=True)
            )
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


class Retirements(SchedulerPlugin):
    """Tell the supervisor of workers that were retired, by whomever: they need not come again.

    To the worker itself that looks as ``Client.restart()`` does.
    """

    name = "daskbridge-retirements"

    def __init__(self, reply: Callable[..., None]) -> None:
        self._reply = reply
        self._names: dict[str, str] = {}

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note the name, which is forgotten when it would be needed."""
        self._names[worker] = str(scheduler.workers[worker].name)

    def remove_worker(self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **_: Any) -> None:  # noqa: ANN401, ARG002 -- as called
        """Tell, unless it was restarted or lost."""
        name = self._names.pop(worker, "")
        if stimulus_id.startswith(FOR_GOOD):
            self._reply(retired=[name])


class Adapted:
    """Be the cluster that Dask's ``Adaptive`` scales: it asks, the supervisor starts and ends."""

    status = Status.running

    def __init__(self, scheduler: Scheduler, reply: Callable[..., None], number: int) -> None:
        self.scheduler_comm = _Within(scheduler)
        self._scheduler = scheduler
        self._reply = reply
        #: Workers that are there or on their way; the supervisor says when some will not come.
        self.number = number

    @property
    def loop(self) -> IOLoop:
        """Return the scheduler's own loop."""
        return self._scheduler.loop

    @property
    def observed(self) -> set[Any]:
        """Return the names of the workers that are there."""
        return {state.name for state in self._scheduler.workers.values()}

    @property
    def requested(self) -> set[Any]:
        """Return the names of all workers; those that are on their way have none that is known here."""
        coming = self.number - len(self.observed)
        return self.observed | {f"coming-{number}" for number in range(coming)}

    plan = requested

    def scale(self, number: int) -> None:
        """Ask for workers until there are ``number``."""
        self.number = number
        self._reply(scale=number)

    def scale_down(self, workers: list[str]) -> None:
        """Tell the supervisor that these have been retired: it need not start them again."""
        self.number -= len(workers)
        self._reply(retired=workers)


class _Within:
    """Ask the scheduler of this process as a client would."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def adaptive_target(self, target_duration: float) -> int:
        return int(self._scheduler.adaptive_target(target_duration=target_duration))

    async def workers_to_close(self, **wanted: Any) -> list[Any]:  # noqa: ANN401 -- Dask's own
        return list(self._scheduler.workers_to_close(**wanted))

    async def retire_workers(self, **wanted: Any) -> None:  # noqa: ANN401 -- Dask's own
        await self._scheduler.retire_workers(**wanted)
