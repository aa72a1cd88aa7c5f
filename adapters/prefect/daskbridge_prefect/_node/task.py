"""One attempt of a task run in a worker's thread: Prefect's own engine, in the context of the flow run.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import contextvars
import copy
import io
import logging
import pickle
import threading
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cloudpickle
from dask.sizeof import sizeof
from prefect.client.schemas.objects import State, TaskRun
from prefect.task_engine import run_task_async, run_task_sync

from .context import FlowOnWorker
from .loop import run_on_loop
from .post import Post, listening, post
from .worker import Lost, Sent

if TYPE_CHECKING:
    from prefect import Task

    from .worker import Attempt, Outbox

#: A state of at most so many bytes goes to the flow's process with the news that the run has ended.
SMALL = 64 * 1024

logger = logging.getLogger("daskbridge.prefect")
#: The attempt that runs in this context, for tasks that it submits itself.
current: ContextVar[tuple[Attempt, Outbox] | None] = ContextVar("daskbridge_prefect_attempt", default=None)
_lock = threading.Lock()


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
    if not outbox.begin(key, attempt.run):
        return Lost(attempt.run)
    hears = Post(attempt.run, outbox) if flow.heard else None
    here = contextvars.copy_context()
    try:
        state = here.run(_run, task, flow, given, hears, (attempt, outbox))
    finally:
        if hears is None:
            flow.flush()
    packed = _packed(state)
    whole = packed is not None
    outbox.end(attempt.run, packed or _without_result(state), whole=whole)
    return state


def _run(
    task: Task[..., Any],
    flow: FlowOnWorker,
    given: dict[str, Any],
    hears: Post | None,
    attempt: tuple[Attempt, Outbox],
) -> State[Any]:
    post.set(hears)
    current.set(attempt)
    with flow.entered(given.pop("own")) as context:
        arguments = {"task": task, "return_type": "state", "context": context, **given}
        result = run_on_loop(run_task_async(**arguments)) if task.isasync else run_task_sync(**arguments)
    assert isinstance(result, State)
    return result


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
