"""What the scheduler of a local cluster does for its supervisor: tell events, retire workers, adapt."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self

from distributed.core import Status
from distributed.deploy.adaptive import Adaptive

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Scheduler
    from tornado.ioloop import IOLoop


logger = logging.getLogger("distributed.scheduler")


class SchedulerOrders:
    """Obey what the supervisor orders; with ``adapt`` in the spec, ask it for more or fewer workers."""

    def __init__(self, scheduler: Scheduler, spec: dict[str, Any], reply: Callable[..., None]) -> None:
        self._scheduler = scheduler
        self._spec = spec
        self._reply = reply
        self._adaptive: Adaptive | None = None
        self._retiring: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        if limits := self._spec["adapt"]:
            adapted: Any = Adapted(self._scheduler, self._reply, limits["minimum"])
            self._adaptive = Adaptive(adapted, **limits)
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
        if "retire" in order:
            names = [name for name in order["retire"] if name in self._scheduler.aliases]
            retiring = asyncio.create_task(
                self._scheduler.retire_workers(names=names, close_workers=True, remove=True)
            )
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


class Adapted:
    """Be the cluster that Dask's ``Adaptive`` scales: it asks, the supervisor starts and ends."""

    status = Status.running

    def __init__(self, scheduler: Scheduler, reply: Callable[..., None], number: int) -> None:
        self.scheduler_comm = _Within(scheduler)
        self._scheduler = scheduler
        self._reply = reply
        self._number = number

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
        coming = self._number - len(self.observed)
        return self.observed | {f"coming-{number}" for number in range(coming)}

    plan = requested

    def scale(self, number: int) -> None:
        """Ask for workers until there are ``number``."""
        self._number = number
        self._reply(scale=number)

    def scale_down(self, workers: list[str]) -> None:
        """Tell the supervisor that these have been retired: it need not start them again."""
        self._number -= len(workers)
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
