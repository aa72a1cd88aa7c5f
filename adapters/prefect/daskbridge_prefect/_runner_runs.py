"""Follow the task runs of one flow run: launch them, hear of them, and see to those whose worker dies."""

from __future__ import annotations

import logging
import pickle
import threading
import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from prefect.states import AwaitingRetry, Cancelled

from daskbridge.plugins import node_module
from daskbridge_prefect._runner_future import DaskFuture, crashed
from daskbridge_prefect._runner_retries import Job, delay_before, delays_left, may_retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client, Future
    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectFuture

    from daskbridge_prefect._runner_report import Report

#: Seconds for the reason to come by which Dask tasks were cancelled.
GRACE = 2.0

logger = logging.getLogger("daskbridge.prefect")
#: As nodes know it: Dask sends by name what is of it.
_worker = node_module("daskbridge_prefect._node.worker")


class Runs:
    """Be the one place where the task runs of a runner are followed, in a thread of its own."""

    def __init__(self, client: Client, topic: str, report: Report) -> None:
        self._client, self._topic, self._report = client, topic, report
        self._live: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._ended: BaseException | None = None
        self._inbox: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._timers: weakref.WeakSet[threading.Timer] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._work, name="daskbridge-prefect", daemon=True)
        self._thread.start()
        client.subscribe_topic(topic, self._hear)

    def start(self, job: Job) -> None:
        """Take a task run on. Raises what ended the cluster if it has ended."""
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._live[job.run] = job
        self._launch(job)

    def cancel(self, future: DaskFuture[Any]) -> bool:
        """Cancel a task run that has not begun."""
        run = str(future.task_run_id)
        with self._lock:
            job = self._live.get(run)
            if job is None or job.begun:
                return False
            del self._live[run]
        if job.dask is not None:
            job.dask.cancel()
        future.end(Cancelled(message="Cancelled before it began"), whole=True)
        return True

    def lost(self, error: BaseException) -> None:
        """End every task run in ``error``: the cluster is gone. Any thread may call; returns at once."""
        with self._lock:
            self._ended = error
        self._inbox.put((self._end_all, (error,)))

    def close(self) -> int:
        """End what is left, and this; return how many task runs had not ended."""
        with self._lock:
            self._ended = self._ended or RuntimeError("the flow run ended first")
            left = len(self._live)
        for timer in list(self._timers):
            timer.cancel()
        self._inbox.put((self._end_all, (self._ended,)))
        self._inbox.put(None)
        self._thread.join()
        return left

    def _hear(self, event: tuple[float, bytes]) -> None:
        self._inbox.put((self._told, (event[1],)))

    def _work(self) -> None:
        while (item := self._inbox.get()) is not None:
            handle, arguments = item
            try:
                handle(*arguments)
            except Exception:
                logger.exception("what became of a task run could not be followed")
            del item, handle, arguments  # a future among them would keep its result on the cluster

    def _launch(self, job: Job) -> None:
        job.attempts += 1
        key = f"{job.task.name}-{job.run}" + (f"-{job.attempts}" if job.attempts > 1 else "")
        given = [
            each.upstream() if isinstance(each, DaskFuture) else _waited_for(each) for each in job.upstream
        ]
        run = _worker.run
        dask = self._client.submit(run, job.attempt, key, *given, key=key, pure=False, **job.options)
        job.dask = job.future.dask = dask
        dask.add_done_callback(lambda done: self._inbox.put((self._done, (job.run, done))))

    def _told(self, packed: bytes) -> None:
        for kind, item in pickle.loads(packed):  # noqa: S301 -- our own workers made it
            if kind == "event":
                self._report.event(item)
            elif kind == "begun":
                if item in self._live:
                    self._live[item].begun = True
            elif kind == "log":
                self._report.log(item)
            elif kind == "end":
                run, state, whole = item
                with self._lock:
                    job = self._live.pop(run, None)
                self._report.ended(run)
                if job is not None:
                    job.dask = None
                    job.future.end(state, whole=whole)
            else:
                run, why = item
                self._report.set_state(run, crashed(why))

    def _done(self, run: str, dask: Future[Any]) -> None:
        """See to a Dask task that is done although its run has not said that it ended."""
        with self._lock:
            job = self._live.get(run)
        if job is None or job.dask is not dask:
            return
        if dask.status == "finished":
            found = dask.result()
            if isinstance(found, _worker.Lost):
                self._died(job) if found.run == run else self._again_after(job, found.run)
            else:
                self._end(job, found)
            return
        if dask.status != "error":  # most likely the cluster is lost, and why is about to be told
            self._later(GRACE, self._end_if_live, job, crashed(f"its Dask task was {dask.status}"))
            return
        error = dask.exception()
        if not self._wait_for_upstream(job):
            self._end(job, crashed(f"{type(error).__name__}: {error}", error))

    def _again_after(self, job: Job, other: str) -> None:
        """Launch a task run anew once one that it depends on, whose worker died, has ended."""
        lost = [each for each in job.upstream if str(each.task_run_id) == other]
        if lost and isinstance(lost[0], DaskFuture) and lost[0].over:
            lost[0].dask = None
        if any(isinstance(each, DaskFuture) and each.lost for each in job.upstream):
            why = f"the result of task run {other} died with its worker; persist_result=True would keep it"
            self._end(job, crashed(why))
        elif not self._wait_for_upstream(job):
            self._launch(job)

    def _wait_for_upstream(self, job: Job) -> bool:
        """Launch a task run once all that it depends on has ended; tell if it is launched, or will be.

        One that depends on a failure is launched once more: Prefect's engine says what becomes of it.
        """
        upstream = [each for each in job.upstream if isinstance(each, DaskFuture)]
        waiting = next((each for each in upstream if not each.over), None)
        if waiting is not None:
            waiting.add_done_callback(lambda _: self._inbox.put((self._wait_or_launch, (job,))))
            return True
        if job.excused or all(each.unpacked().is_completed() for each in upstream):
            return False
        job.excused = True
        self._launch(job)
        return True

    def _wait_or_launch(self, job: Job) -> None:
        if job.run in self._live and not self._wait_for_upstream(job):
            self._launch(job)

    def _died(self, job: Job) -> None:
        """Begin the next attempt of a task run whose worker died, if one is left; else it has crashed."""
        why = "the worker that ran it died"
        record = self._report.record(job.run, job.task)
        assert record is not None
        job.deaths += 1
        begun = max(int(record.get("run_count") or 0), job.deaths)
        state = crashed(f"{why} (attempt {begun})")
        retries = job.task.retries or 0
        if job.forgiven < job.options.get("retries", 0):
            job.forgiven += 1
            delay, left = 0.0, retries
        elif begun - job.forgiven <= retries and may_retry(job.task, record, state):
            delay, left = delay_before(job.task, begun - job.forgiven), retries - (begun - job.forgiven)
        else:
            self._end(job, state)
            return
        at = datetime.now(UTC) + timedelta(seconds=delay)
        waiting: State[Any] = AwaitingRetry(scheduled_time=at, message=f"{why}; it is tried again")
        self._report.set_state(job.run, waiting, job.task, begun)
        record = {**(self._report.record(job.run, job.task) or record), "run_count": begun}
        job.attempt = replace(job.attempt, again=(record, left, delays_left(job.task, retries - left)))
        if not delay:
            self._launch(job)
            return
        self._later(delay, self._wait_or_launch, job)

    def _later(self, seconds: float, handle: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401 -- the handler's
        timer = threading.Timer(seconds, self._inbox.put, ((handle, arguments),))
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _end_if_live(self, job: Job, state: State[Any]) -> None:
        if job.run in self._live:
            self._end(job, state)

    def _end(self, job: Job, state: State[Any]) -> None:
        with self._lock:
            self._live.pop(job.run, None)
        if state.is_crashed():
            self._report.set_state(job.run, state, job.task, job.deaths)
        job.dask = job.future.dask = None
        job.future.end(state, whole=True)

    def _end_all(self, error: BaseException) -> None:
        with self._lock:
            jobs = list(self._live.values())
            self._live.clear()
        for run in self._report.unfinished:
            self._report.set_state(run, crashed(str(error), error))
        for job in jobs:
            if job.begun:  # and told nothing before its worker or the scheduler was gone
                self._report.set_state(job.run, crashed(str(error), error), job.task, max(job.attempts, 1))
            job.dask = job.future.dask = None
            job.future.end(crashed(str(error), error), whole=True)


def _waited_for(future: PrefectFuture[Any]) -> Any:  # noqa: ANN401 -- a state that travels
    """Return the state of a future that is no cluster's, once it has ended."""
    import cloudpickle

    future.wait()
    return _worker.Sent(cloudpickle.dumps(future.state))
