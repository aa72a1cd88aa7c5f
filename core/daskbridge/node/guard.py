"""Watch who joins and leaves; turn away a worker whose environment breaks pickling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from . import Travels
from .environment import breaking, comparable, differences

if TYPE_CHECKING:
    from distributed import Scheduler

TOPIC = "daskbridge"


class RunGuard(Travels, SchedulerPlugin):
    """Report joins and leaves as events, and keep mismatched late workers away; on the scheduler.

    ``versions`` are the driver's (:func:`.environment.comparable`). With ``policy`` "error" on an
    exclusive cluster a late worker that differs in what breaks pickling is removed before it gets a
    task: nothing is unpickled there. Any other difference is reported.
    ``alive`` names the operation by which the driver asks whether this scheduler is still the one
    that it equipped: a replaced one does not know it. On an exclusive cluster the answer is how many of
    the known tasks are done, and how many are known. An end that somebody asks for, as
    ``Client.shutdown()`` does, is reported, too: it is no loss.
    """

    name = "daskbridge-guard"
    idempotent = False

    def __init__(self, *, versions: dict[str, str], policy: str, exclusive: bool, alive: str) -> None:
        self.versions = versions
        self.policy = policy
        self.exclusive = exclusive
        self.alive = alive

    async def start(self, scheduler: Scheduler) -> None:
        """Learn who is there, and answer the driver's question from now on."""
        self._names = {address: str(state.name) for address, state in scheduler.workers.items()}

        def alive(*, leave: bool = False) -> bool | tuple[int, int]:
            if leave:
                del scheduler.handlers[self.alive]
            return _progress(scheduler) if self.exclusive else True

        scheduler.handlers[self.alive] = alive
        if self.exclusive:
            end = scheduler.handlers["terminate"]

            async def asked(**told: Any) -> None:  # noqa: ANN401 -- what the handler is told
                scheduler.log_event(TOPIC, {"kind": "asked-to-end"})
                await end(**told)

            scheduler.handlers["terminate"] = asked

    async def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Report a newcomer, or remove it; awaited before it gets a task."""
        state = scheduler.workers[worker]
        self._names[worker] = str(state.name)
        differing = differences(self.versions, comparable(state.versions)) if self.policy != "ignore" else {}
        event = {"kind": "worker-joined", "address": worker, "name": str(state.name), "differs": differing}
        if self.policy == "error" and self.exclusive and breaking(differing):
            event["kind"] = "worker-refused"
            scheduler.log_event(TOPIC, event)
            await scheduler.remove_worker(worker, stimulus_id="daskbridge-environment-mismatch")
        else:
            event["kind"] = "worker-differs" if differing else "worker-joined"
            scheduler.log_event(TOPIC, event)

    def remove_worker(self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **_: Any) -> None:  # noqa: ANN401
        """Report who left, and by what stimulus."""
        name = self._names.pop(worker, worker)
        scheduler.log_event(
            TOPIC, {"kind": "worker-left", "address": worker, "name": name, "why": stimulus_id}
        )


def _progress(scheduler: Scheduler) -> tuple[int, int]:
    """Count tasks, by groups: their number does not grow with that of the tasks."""
    done = known = 0
    for group in scheduler.task_groups.values():
        states = group.states
        known += sum(states.values())
        done += sum(states[state] for state in ("memory", "released", "erred", "forgotten"))
    return done, known
