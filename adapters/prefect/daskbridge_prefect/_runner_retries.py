"""What there is to know of a task run until it has ended, and whether it may be tried again."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.utilities.asyncutils import run_coro_as_sync

if TYPE_CHECKING:
    from distributed import Future
    from prefect import Task
    from prefect.futures import PrefectFuture

    from daskbridge_prefect._runner_future import DaskFuture

logger = logging.getLogger("daskbridge.prefect")


@dataclass
class Job:
    """Hold what it takes to launch a task run, until it has ended."""

    run: str
    task: Task[..., Any]
    attempt: Any  # the Attempt that travels
    upstream: list[PrefectFuture[Any]]
    options: dict[str, Any]
    future: DaskFuture[Any]
    attempts: int = 0
    #: Whether the user's code has begun in any attempt.
    begun: bool = False
    #: How many times its worker died although Dask's own option ``retries`` allowed for that.
    forgiven: int = 0
    deaths: int = 0
    #: Whether it was launched anew because something that it depends on has failed.
    excused: bool = False
    dask: Future[Any] | None = field(default=None, repr=False)


def may_retry(task: Task[..., Any], record: dict[str, Any], state: State[Any]) -> bool:
    """Ask a task's own ``retry_condition_fn``; one that fails says no, as Prefect has it."""
    condition: Any = task.retry_condition_fn
    if condition is None:
        return True
    try:
        answer = condition(task, TaskRun.model_validate(record), state)
        return bool(run_coro_as_sync(answer) if inspect.iscoroutine(answer) else answer)
    except Exception:
        logger.exception("retry_condition_fn of task %r failed, so it is not tried again", task.name)
        return False


def delay_before(task: Task[..., Any], retry: int) -> float:
    """Return the seconds before a task's ``retry``-th retry."""
    delays: Any = task.retry_delay_seconds or 0
    return float(delays[min(retry, len(delays)) - 1] if isinstance(delays, list | tuple) else delays)


def delays_left(task: Task[..., Any], used: int) -> Any:  # noqa: ANN401 -- as Prefect has them
    delays: Any = task.retry_delay_seconds
    if not isinstance(delays, list | tuple):
        return delays
    return list(delays[used:]) or list(delays[-1:])
