"""On a worker: run one attempt of a task run, and tell the flow's process what comes of it.

This module travels: it uses the standard library and ``distributed`` only, and Prefect once a task runs.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from . import Travels
from .scheduler import BEGIN, FETCH, TELL

if TYPE_CHECKING:
    from distributed import Worker

#: Seconds for which what a task says is gathered before it is sent.
GATHER = 0.05
#: Seconds for the scheduler to answer.
PATIENCE = 60.0


class RunsOnWorker(Travels, WorkerPlugin):
    """Make a worker ready for task runs. Raises ModuleNotFoundError on one that lacks Prefect."""

    idempotent = False

    def __init__(self, topic: str) -> None:
        self.name = topic

    def setup(self, worker: Worker) -> None:
        """Look for Prefect; import it in a thread now rather than in the first task."""
        self.outbox = _outboxes(worker)[self.name] = Outbox(worker, self.name)
        if find_spec("prefect") is None:
            msg = f"worker {worker.name} ({worker.address}) has no prefect, in which these tasks run"
            raise ModuleNotFoundError(msg, name="prefect")
        threading.Thread(target=_warm, name="daskbridge-prefect-import", daemon=True).start()

    def teardown(self, worker: Worker) -> None:
        """Drop what belongs to this runner."""
        _outboxes(worker).pop(self.name, None)
        self.outbox.close()


def _warm() -> None:
    from . import task  # noqa: F401 -- for its imports


def _outboxes(worker: Worker) -> dict[str, Outbox]:
    found: dict[str, Outbox] = worker.extensions.setdefault(__name__, {})
    return found


@dataclass(frozen=True)
class Sent:
    """Carry an upstream's state that the flow's process has already, pickled."""

    state: bytes


@dataclass(frozen=True)
class Lost:
    """Stand for the result of an attempt that will never have one: its worker died.

    ``run`` is the task run whose attempt that was: the asked one or one that it depends on.
    """

    run: str


@dataclass(frozen=True)
class Attempt:
    """Say what to run; ``call`` is pickled by the flow's process and only unpickled here."""

    topic: str
    run: str
    context: str
    task: bytes | str
    call: bytes
    #: Of an attempt that follows another: the task run's record, retries that are left, their delays.
    again: tuple[dict[str, Any], int, Any] | None = None
    #: Whether Prefect's own ways are used throughout.
    plain: bool = False


def run(attempt: Attempt, key: str, *upstream: Any) -> Any:  # noqa: ANN401 -- a state, or Lost
    """Run one attempt; called by Dask in a thread of a worker.

    Returns Prefect's final state, or :class:`Lost` instead of running something twice.
    """
    for value in upstream:
        if isinstance(value, Lost):
            return value
    outbox = _outboxes(get_worker()).get(attempt.topic)
    if outbox is None:
        msg = f"worker {get_worker().name} has not been made ready for the tasks of this flow run"
        raise RuntimeError(msg)
    from .task import run_attempt

    return run_attempt(attempt, key, upstream, outbox)


class Outbox:
    """Send what task runs of one runner say, in order; any thread may put."""

    def __init__(self, worker: Worker, topic: str) -> None:
        self.worker, self.topic = worker, topic
        self._lock = threading.Lock()
        self._items: list[tuple[str, Any]] = []
        #: What Prefect needs once in a process, by the digest of its context.
        self.flows: dict[str, Any] = {}
        #: Tasks that are too large to travel with each of their runs.
        self.tasks: dict[str, Any] = {}

    def put(self, kind: str, item: Any) -> None:  # noqa: ANN401 -- what Prefect hands over
        """Send soon; what a short task says goes in one message."""
        with self._lock:
            self._items.append((kind, item))
            first = len(self._items) == 1
        if first:
            self.worker.loop.add_callback(self.worker.loop.call_later, GATHER, self._flush)

    def end(self, run: str, state: bytes, *, whole: bool) -> None:
        """Send now that a run has ended, and its state: ``whole`` with its result, or without."""
        with self._lock:
            self._items.append(("end", (run, state, whole)))
        self.worker.loop.add_callback(self._flush)

    def begin(self, key: str, run: str) -> bool:
        """Ask whether a Dask task may go on to the user's code; waits for the answer."""
        return bool(self._ask(BEGIN, key=key, run=run))

    def fetch(self, digest: str) -> bytes:
        """Get what the flow's process keeps on the scheduler."""
        blob: bytes | None = self._ask(FETCH, digest=digest)
        if blob is None:
            msg = "the flow run that this task belongs to has ended"
            raise RuntimeError(msg)
        return blob

    def close(self) -> None:
        """Close what was opened for task runs in this process."""
        for flow in self.flows.values():
            flow.close()
        self.flows.clear()

    def _ask(self, handler: str, **arguments: Any) -> Any:  # noqa: ANN401 -- the handler's answer
        async def ask() -> Any:  # noqa: ANN401 -- the handler's answer
            return await getattr(self.worker.scheduler, handler)(topic=self.topic, **arguments)

        asking = asyncio.run_coroutine_threadsafe(ask(), self.worker.loop.asyncio_loop)  # type: ignore[attr-defined]
        return asking.result(PATIENCE)

    def _flush(self) -> None:
        with self._lock:
            items, self._items = self._items, []
        if items:
            message = {"op": TELL, "topic": self.topic, "items": pickle.dumps(items)}
            self.worker.batched_stream.send(message)
