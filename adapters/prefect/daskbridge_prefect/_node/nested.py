"""What a task on a worker submits itself: it goes to the same cluster, and counts to the same flow run.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import cloudpickle
import distributed
from prefect.futures import PrefectTaskRunFuture
from prefect.states import Crashed
from prefect.task_runners import TaskRunner

from .call import pack_call
from .worker import Attempt, Lost, Sent, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

    from prefect import Task
    from prefect.client.schemas.objects import RunInput, State
    from prefect.futures import PrefectFuture

    from .worker import Outbox

R = TypeVar("R")
#: Seconds between two looks for what should end a wait.
LOOK = 1.0


class NestedFuture(PrefectTaskRunFuture[R]):
    """Hold a task run that another one, on a worker, has submitted."""

    def __init__(self, task_run_id: UUID, dask: distributed.Future[Any], outbox: Outbox) -> None:
        super().__init__(task_run_id)
        self.dask, self._outbox = dask, outbox
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> None:
        """Wait at most ``timeout`` seconds; the worker's thread takes on other tasks meanwhile."""
        if self._final_state is not None:
            return
        with _thread_given_back(self.dask):
            ends = None if timeout is None else time.monotonic() + timeout
            while not self.dask.done():
                left = LOOK if ends is None else min(LOOK, ends - time.monotonic())
                if left <= 0:
                    return
                with suppress(TimeoutError):
                    distributed.wait([self.dask], timeout=left)
        with self._lock:
            if self._final_state is None:
                self._final_state = self._ended()

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:  # noqa: FBT001, FBT002 -- Prefect's signature
        """Return the task's result, or raise its error. Raises TimeoutError after ``timeout`` seconds."""
        self.wait(timeout)
        if self._final_state is None:
            msg = f"Task run {self.task_run_id} did not complete within {timeout} seconds"
            raise TimeoutError(msg)
        result: R = self._final_state.result(raise_on_failure=raise_on_failure, _sync=True)  # type: ignore[call-overload]
        return result

    def add_done_callback(self, fn: Callable[[PrefectFuture[R]], None]) -> None:
        """Call ``fn`` with this future, in a thread of its own, once it is done."""
        self.dask.add_done_callback(lambda _: fn(self))

    def _ended(self) -> State[R]:
        try:
            value = self.dask.result()
        except Exception as error:  # noqa: BLE001 -- whatever Dask says is what the run ended in
            return self._crashed(f"{type(error).__name__}: {error}", error)
        if isinstance(value, Lost):
            return self._crashed("the worker that ran it died")
        state: State[R] = value
        return state

    def _crashed(self, why: str, error: Exception | None = None) -> State[R]:
        self._outbox.put("crash", (str(self.task_run_id), why))
        return Crashed(message=f"Execution was aborted: {why}", data=error)


class NodeRunner(TaskRunner[NestedFuture[Any]]):
    """Stand for the flow's runner in its tasks."""

    @property
    def name(self) -> str:
        """Be called as the flow's runner is."""
        return "dask"

    def duplicate(self) -> NodeRunner:
        """Return another one."""
        return type(self)()

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[RunInput]] | None = None,
    ) -> NestedFuture[Any]:
        """Submit a task to the cluster that this one runs on."""
        from .task import current

        found = current.get()
        if found is None:
            msg = "a task can be submitted from a thread of a task only with that task's context"
            raise RuntimeError(msg)
        parent, outbox = found
        run_id = uuid4()
        call, upstream = pack_call(task, run_id, parameters, wait_for, dependencies)
        attempt = Attempt(
            parent.topic, str(run_id), parent.context, cloudpickle.dumps(task), call, plain=parent.plain
        )
        key = f"{task.name}-{run_id}"
        dask = distributed.get_client().submit(
            run, attempt, key, *[_handle(each) for each in upstream], key=key, pure=False
        )
        return NestedFuture(run_id, dask, outbox)


def _handle(future: PrefectFuture[Any]) -> Any:  # noqa: ANN401 -- what Dask waits for, or a state
    if isinstance(future, NestedFuture):
        return future.dask
    future.wait()
    return Sent(cloudpickle.dumps(future.state))


@contextmanager
def _thread_given_back(future: distributed.Future[Any]) -> Iterator[None]:
    """Let the worker run other tasks while this one waits: they may be what it waits for."""
    if future.done():
        yield
        return
    distributed.secede()
    try:
        yield
    finally:
        distributed.rejoin()
