"""One attempt of a task run in a worker's thread: Prefect's own engine, in the context of the flow run.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import io
import logging
import pickle
import threading
from contextvars import ContextVar
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import cloudpickle
from dask.sizeof import sizeof
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import AsyncClientContext
from prefect.events import Event, RelatedResource, emit_event
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging import handlers
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings
from prefect.task_engine import run_task_async, run_task_sync

from ._runner_context import FlowOnWorker
from ._runner_worker import Lost, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from prefect import Task

    from ._runner_worker import Attempt, Outbox

#: A state of at most so many bytes goes to the flow's process with the news that the run has ended.
SMALL = 64 * 1024

logger = logging.getLogger("daskbridge.prefect")
_post: ContextVar[_Post | None] = ContextVar("daskbridge_prefect_post", default=None)
#: The attempt that runs in this context, for tasks that it submits itself.
current: ContextVar[tuple[Attempt, Outbox] | None] = ContextVar("daskbridge_prefect_attempt", default=None)
_lock = threading.Lock()
_own_loop = threading.local()


def run_attempt(attempt: Attempt, key: str, upstream: tuple[Any, ...], outbox: Outbox) -> State[Any] | Lost:
    """Run Prefect's engine and return the final state; runs in a thread of the worker."""
    flow = _flow(attempt, outbox)
    task = _task(attempt.task, outbox)
    given: dict[str, Any] = _Unpickler(attempt.call, upstream).load()
    if attempt.again is not None:
        record, retries, delays = attempt.again
        given["task_run"] = TaskRun.model_validate(record)
        task = copy.copy(task)
        task.retries, task.retry_delay_seconds = retries, delays
    if not outbox.begin(key):
        return Lost(attempt.run)
    post = _Post(attempt.run, outbox) if flow.heard else None
    here = contextvars.copy_context()
    try:
        state = here.run(_run, task, flow, given, post, (attempt, outbox))
    finally:
        if post is None:
            flow.flush()
    packed = _packed(state)
    whole = packed is not None
    outbox.end(attempt.run, packed or _without_result(state), whole=whole)
    return state


def _run(
    task: Task[..., Any],
    flow: FlowOnWorker,
    given: dict[str, Any],
    post: _Post | None,
    attempt: tuple[Attempt, Outbox],
) -> State[Any]:
    _post.set(post)
    current.set(attempt)
    with flow.entered(given.pop("own")) as context:
        arguments = {"task": task, "return_type": "state", "context": context, **given}
        result = _run_on_loop(run_task_async(**arguments)) if task.isasync else run_task_sync(**arguments)
    assert isinstance(result, State)
    return result


def _run_on_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- the coroutine's
    """Run to the end on a loop that this thread keeps, with a client of Prefect's that stays open."""
    runner: asyncio.Runner | None = getattr(_own_loop, "runner", None)
    if runner is None:
        runner = _own_loop.runner = asyncio.Runner()

    async def run() -> Any:  # noqa: ANN401 -- the coroutine's
        client = getattr(_own_loop, "client", None)
        if client is None:
            client = AsyncClientContext()
            await client.__aenter__()
            _own_loop.client = client
        token = AsyncClientContext.__var__.set(client)
        try:
            return await coroutine
        finally:
            AsyncClientContext.__var__.reset(token)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for each in left:  # as asyncio.run() does
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    return runner.run(run(), context=contextvars.copy_context())


def _flow(attempt: Attempt, outbox: Outbox) -> FlowOnWorker:
    with _lock:
        found: FlowOnWorker | None = outbox.flows.get(attempt.context)
        if found is None:
            found = FlowOnWorker(outbox.fetch(attempt.context))
            if not attempt.plain:
                contextvars.copy_context().run(_prepare, found)
            outbox.flows[attempt.context] = found
    return found


def _prepare(flow: FlowOnWorker) -> None:
    """Make tasks cheap, if this version of Prefect lets us; else each task goes Prefect's own way."""
    try:
        flow.prepare()
        with flow.entered({}):
            flow.heard = listening()
    except Exception:
        told = "Prefect's context can't be kept between tasks here, so that each costs more"
        logger.warning(told, exc_info=True)


def _task(packed: bytes | str, outbox: Outbox) -> Task[..., Any]:
    if isinstance(packed, bytes):
        return _unpickled(packed)
    with _lock:
        found: Task[..., Any] | None = outbox.tasks.get(packed)
        if found is None:
            found = outbox.tasks[packed] = pickle.loads(outbox.fetch(packed))  # noqa: S301 -- the flow's process made it
    return found


@lru_cache(256)
def _unpickled(packed: bytes) -> Task[..., Any]:
    found: Task[..., Any] = pickle.loads(packed)  # noqa: S301 -- the flow's process made it
    return found


class _Unpickler(pickle.Unpickler):
    """Put the states of upstream task runs in the place of their futures."""

    def __init__(self, packed: bytes, upstream: tuple[Any, ...]) -> None:
        super().__init__(io.BytesIO(packed))
        self._upstream = upstream

    def persistent_load(self, pid: int) -> Any:  # noqa: ANN401 -- a state
        value = self._upstream[pid]
        return pickle.loads(value.state) if isinstance(value, Sent) else value  # noqa: S301 -- the flow's process made it


def _packed(state: State[Any]) -> bytes | None:
    """Pickle a state if it is small; what can't be pickled stays where it is."""
    data = state.data
    try:
        if sizeof(getattr(data, "result", data)) > SMALL:
            return None
        packed = cloudpickle.dumps(state)
    except Exception:  # noqa: BLE001 -- whoever wants the result is told
        return None
    return packed if len(packed) <= SMALL else None


def _without_result(state: State[Any]) -> bytes:
    """Pickle a state with, in place of the result, where that is stored."""
    metadata = getattr(state.data, "metadata", None)
    stored = metadata is not None and getattr(state.data, "is_persisted", True)
    packed: bytes = cloudpickle.dumps(state.model_copy(update={"data": metadata if stored else None}))
    return packed


class _Post:
    """Stand for Prefect's senders of events and logs: what a task run says goes to the flow's process.

    There it is sent on in order, by one that is not lost with a worker.
    """

    client_type = PrefectEventsClient

    def __init__(self, run: str, outbox: Outbox | None) -> None:
        self._resource = f"prefect.task-run.{run}"
        self._outbox = outbox
        #: How much came, for whoever asks whether anything does.
        self.came = 0

    def send(self, item: Any) -> None:  # noqa: ANN401 -- an event or a log
        """Take what Prefect would send to its API."""
        self.came += 1
        if self._outbox is None:
            return
        if not isinstance(item, Event):
            self._outbox.put("log", item)
            return
        if not item.event.startswith("prefect.task-run."):
            self._relate(item)
        self._outbox.put("event", item)

    def wait_until_empty(self) -> None:
        """Return at once: what was put is on its way."""

    def _relate(self, event: Event) -> None:
        if self._resource not in {resource.id for resource in event.involved_resources}:
            about = {"prefect.resource.id": self._resource, "prefect.resource.role": "task-run"}
            event.related.append(RelatedResource.model_validate(about))


@cache
def _stand_between() -> None:
    """Let Prefect find a task run's own :class:`_Post` in its context, once in a process."""
    for service in (EventsWorker, APILogWorker):
        service.instance = staticmethod(partial(_post_or, service.instance))  # type: ignore[method-assign]
    for name in ("", "prefect", "prefect.task_runs", "prefect.flow_runs"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, handlers.PrefectConsoleHandler):
                handler.addFilter(_said_here)


def _said_here(record: logging.LogRecord) -> bool:
    """Tell whether a worker's console shows a record: not if the flow's will."""
    sent = getattr(record, "send_to_api", True) and get_current_settings().logging.to_api.enabled
    return _post.get() is None or not sent or not record.name.startswith(("prefect.task", "prefect.flow"))


def _post_or(instance: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 -- a sender
    return _post.get() or instance(*arguments, **keywords)


def listening() -> bool:
    """Tell whether what Prefect sends in this context can be heard, by sending something."""
    _stand_between()
    probe = _Post("", None)
    token = _post.set(probe)
    try:
        emit_event("daskbridge.probe", resource={"prefect.resource.id": "daskbridge.probe"})
        getattr(handlers, "emit_api_log", lambda log: APILogWorker.instance().send(log))({})
    finally:
        _post.reset(token)
    return probe.came == 2  # noqa: PLR2004 -- both
