"""Tell Prefect's API what becomes of task runs, in order, from the flow's process."""

from __future__ import annotations

import contextvars
import logging
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound
from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler
from prefect.states import Pending
from prefect.utilities.engine import emit_task_run_state_change_event

if TYPE_CHECKING:
    from prefect import Task
    from prefect.events import Event

#: Seconds for Prefect's API to take what is left at the end.
FLUSH = 15.0
#: How many names of task runs are known, for their logs.
NAMES = 2000
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

logger = logging.getLogger("daskbridge.prefect")


class Report:
    """Pass on what workers say, and know of each task run that has begun how it stands.

    All is said in the context in which the runner began: that of the flow run.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self._last: dict[str, Event] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()
        flow_run = FlowRunContext.get()
        self._flow_run = flow_run.flow_run.id if flow_run and flow_run.flow_run else None
        self._flow_run_name = str(flow_run.flow_run.name) if flow_run and flow_run.flow_run else ""
        #: Of the last task runs that said something.
        self._names: dict[str, str] = {}

    @property
    def unfinished(self) -> list[str]:
        """Return the task runs that have begun and not ended."""
        with self._lock:
            return list(self._last)

    def log(self, item: dict[str, Any]) -> None:
        """Send a log on, and show it on this process's console as one of its own."""
        self._context.copy().run(lambda: APILogWorker.instance().send(item))
        record = logging.LogRecord(item["name"], item["level"], "", 0, item["message"], None, None)
        record.created = datetime.fromisoformat(item["timestamp"]).timestamp()
        record.task_run_name = self._names.get(str(item["task_run_id"]), "")
        record.flow_run_name = self._flow_run_name
        for name in ("", "prefect", record.name):
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, PrefectConsoleHandler) and record.levelno >= handler.level:
                    handler.handle(record)

    def event(self, event: Event) -> None:
        """Send an event on, unless it is of a task run that has been reported as crashed from here."""
        kind, _, run = event.resource.id.rpartition(".")
        if kind == "prefect.task-run" and event.event.startswith("prefect.task-run."):
            state = event.payload["validated_state"]["type"]
            self._names[run] = event.resource.get("prefect.resource.name") or ""
            if len(self._names) > NAMES:
                del self._names[next(iter(self._names))]
            with self._lock:
                if run in self._told:
                    return
                if state in ENDED:
                    self._last.pop(run, None)
                else:
                    self._last[run] = event
        self._send(event)

    def ended(self, run: str) -> None:
        """Know that a task run has said its last word, be it a final state or not (Prefect's NotReady)."""
        with self._lock:
            self._last.pop(run, None)

    def record(self, run: str, task: Task[..., Any] | None = None) -> dict[str, Any] | None:
        """Return what is known of a task run, as JSON would have it; None if nobody knows it."""
        with self._lock:
            last = self._last.get(run)
        if last is not None:
            state = last.payload["validated_state"]
            known = {"type": state["type"], "name": state["name"], "timestamp": last.occurred.isoformat()}
            return {**last.payload["task_run"], "id": run, "flow_run_id": self._flow_run, "state": known}
        try:
            found = self._context.copy().run(self._read, run)
        except ObjectNotFound:
            if task is None:
                return None
            state = Pending()
            found = TaskRun(
                id=UUID(run),
                name=f"{task.name}-{run[:3]}",
                flow_run_id=self._flow_run,
                task_key=task.task_key,
                dynamic_key=run,
                task_version=task.version,
                tags=list(task.tags),
                state=state,
            )
        return found.model_dump(mode="json")

    def set_state(
        self, run: str, state: State[Any], task: Task[..., Any] | None = None, run_count: int = 0
    ) -> None:
        """Report a state that the task run's own engine can't report any more."""
        record = None if run in self._told else self.record(run, task)
        if record is None or record["state"]["type"] in ENDED:
            return
        record["run_count"] = max(record.get("run_count") or 0, run_count)
        task_run = TaskRun.model_validate(record)
        before = task_run.state
        state.state_details.task_run_id, state.state_details.flow_run_id = task_run.id, task_run.flow_run_id
        task_run.state = state
        if state.is_final():
            task_run.end_time = cast("Any", state.timestamp)  # a datetime, whatever Prefect calls it
        with self._lock:
            last = self._last.pop(run, None)
            if state.is_final():
                self._told.add(run)
        event = self._context.copy().run(
            emit_task_run_state_change_event,
            task_run=task_run,
            initial_state=before,
            validated_state=state,
            follows=last,
        )
        if event is not None and not state.is_final():
            with self._lock:
                self._last[run] = event

    def flush(self) -> None:
        """Wait until Prefect's API has taken everything, for :data:`FLUSH` seconds at most."""
        waiting = threading.Thread(
            target=self._context.copy().run,
            args=(lambda: EventsWorker.instance().wait_until_empty(),),
            name="daskbridge-prefect-flush",
            daemon=True,
        )
        waiting.start()
        waiting.join(FLUSH)
        if waiting.is_alive():
            logger.warning("Prefect's API has not taken all states of task runs within %g s", FLUSH)

    def _send(self, event: Event) -> None:
        self._context.copy().run(lambda: EventsWorker.instance().send(event))

    @staticmethod
    def _read(run: str) -> TaskRun:
        return get_client(sync_client=True).read_task_run(UUID(run))
