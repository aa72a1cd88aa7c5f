"""The flow's side of a task run on the cluster."""

from __future__ import annotations

import pickle
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import cloudpickle
from prefect.futures import PrefectTaskRunFuture
from prefect.states import Crashed

from daskbridge.errors import ClusterLost
from daskbridge.plugins import node_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from distributed import Future
    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectFuture

#: As nodes know it: Dask sends by name.
_worker = node_module("daskbridge_prefect._node.worker")
R = TypeVar("R")
#: Seconds between two looks for what should end a wait, such as a flow's timeout in another thread.
LOOK = 1.0


class DaskFuture(PrefectTaskRunFuture[R]):
    """Hold a task run that a :class:`DaskTaskRunner` has submitted.

    A large result stays on the cluster until it is asked for; ``dask`` is then Dask's future of the
    final state, and None when the state is here.
    """

    def __init__(self, task_run_id: UUID, forget: Callable[[DaskFuture[Any]], object]) -> None:
        self._task_run_id = task_run_id
        self.dask: Future[Any] | None = None
        self._forget = forget
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[PrefectFuture[R]], None]] = []
        self._packed: bytes | None = None
        self._known: State[R] | None = None
        self._whole = False

    @property
    def _final_state(self) -> State[R] | None:  # type: ignore[override]  # Prefect's functions look for it
        return self.unpacked() if self._over.is_set() else None

    @property
    def state(self) -> State[R]:
        """Return the state: the final one with the result, before that what Prefect's API knows."""
        return self._with_result() if self._over.is_set() else super().state

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the task run has ended, or for ``timeout`` seconds; fetches no large result.

        Raises ClusterLost if it has ended because its cluster did: the flow should not go on regardless.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        while not self._over.wait(LOOK if ends is None else max(0.0, min(LOOK, ends - time.monotonic()))):
            if ends is not None and time.monotonic() >= ends:
                return
        if self._known is not None and isinstance(self._known.data, ClusterLost):
            raise self._known.data

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:  # noqa: FBT001, FBT002 -- Prefect's signature
        """Return the task's result, or raise its error; with ``raise_on_failure=False`` return the error.

        Raises TimeoutError if the task run has not ended after ``timeout`` seconds, ClusterLost if its
        cluster ended first, and Prefect's MissingResult if its worker died with a result stored nowhere else.
        """
        if raise_on_failure or not self._over.is_set():
            self.wait(timeout)
        if not self._over.is_set():
            msg = f"Task run {self.task_run_id} did not complete within {timeout} seconds"
            raise TimeoutError(msg)
        found: Any = self._with_result().result(raise_on_failure=raise_on_failure, _sync=True)  # type: ignore[call-overload]
        result: R = found
        return result

    def cancel(self) -> bool:
        """Cancel the task run unless it has begun or ended; return whether it is cancelled."""
        return bool(self._forget(self))

    def add_done_callback(self, fn: Callable[[PrefectFuture[R]], None]) -> None:
        """Call ``fn`` with this future once the task run has ended, at once if it has."""
        with self._lock:
            if not self._over.is_set():
                self._callbacks.append(fn)
                return
        fn(self)

    def end(self, packed: bytes | State[R], *, whole: bool) -> None:
        """Take the final state, with its result (``whole``) or without; called by the runner."""
        with self._lock:
            if self._over.is_set():
                return
            if isinstance(packed, bytes):
                self._packed = packed
            else:
                self._known = packed
            self._whole = whole
            if whole:
                self.dask = None
            callbacks, self._callbacks = self._callbacks, []
            self._over.set()
        for each in callbacks:
            each(self)

    @property
    def over(self) -> bool:
        """Tell whether the final state is known."""
        return self._over.is_set()

    @property
    def lost(self) -> bool:
        """Tell whether the result can be had no more."""
        return self.over and not self._whole and self.dask is None and self.unpacked().data is None

    def upstream(self) -> Any:  # noqa: ANN401 -- what Dask waits for, or a state
        """Return what another task of the same cluster takes for this one's state."""
        with self._lock:
            dask, packed = self.dask, self._packed
        if dask is not None:
            return dask
        return _worker.Sent(packed or cloudpickle.dumps(self.unpacked()))

    def unpacked(self) -> State[R]:
        """Return the final state as far as it is here, maybe without its result."""
        with self._lock:
            if self._known is None:
                assert self._packed is not None
                self._known, self._packed = pickle.loads(self._packed), None  # noqa: S301 -- our own workers made it
            return self._known

    def _with_result(self) -> State[R]:
        dask = self.dask
        if self._whole or dask is None:
            return self.unpacked()
        try:
            found: Any = dask.result()
        except Exception as error:  # noqa: BLE001 -- whatever Dask says, there is no result
            found = error
        if isinstance(found, type(self.unpacked())):
            self._known, self._whole = found, True
        self.dask = None
        return self.unpacked()


def crashed(why: str, error: BaseException | None = None) -> State[Any]:
    """Return the state of a task run that something else than its own code has ended."""
    return Crashed(message=f"Execution was aborted: {why}", data=error)
