"""What a runner has while its flow runs: a cluster, a client, and the task runs that it follows."""

from __future__ import annotations

import hashlib
import os
import weakref
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import cloudpickle
from prefect.context import FlowRunContext, SettingsContext

from daskbridge.errors import ClusterLost, EnvironmentMismatch
from daskbridge.plugins import node_module
from daskbridge_prefect._runner_future import DaskFuture
from daskbridge_prefect._runner_options import options_of
from daskbridge_prefect._runner_report import Report
from daskbridge_prefect._runner_retries import Job
from daskbridge_prefect._runner_runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from distributed import Client
    from prefect import Task
    from prefect.client.schemas.objects import RunInput
    from prefect.futures import PrefectFuture

    from daskbridge import Cluster
    from daskbridge_prefect._runner_arguments import Arguments

#: As nodes know them: Dask sends by name.
_call = node_module("daskbridge_prefect._node.call")
_context = node_module("daskbridge_prefect._node.context")
_nested = node_module("daskbridge_prefect._node.nested")
_scheduler = node_module("daskbridge_prefect._node.scheduler")
_worker = node_module("daskbridge_prefect._node.worker")
#: A pickled task of at most so many bytes travels with each of its runs, a larger one once to each worker.
SMALL_TASK = 16 * 1024
#: Set to 1, it leaves everything to Prefect's own ways, as where a version of it knows no others.
PLAIN = "DASKBRIDGE_PREFECT_PLAIN"


class Session:
    """Start a cluster for a flow run; made with its first task, closed with the flow run."""

    def __init__(
        self, given: Arguments, groups: Mapping[str, Any], block: AbstractContextManager[Cluster]
    ) -> None:
        self._groups = groups
        self._packed: list[tuple[tuple[Any, Any], str]] = []
        self._tasks: weakref.WeakKeyDictionary[Any, bytes | str] = weakref.WeakKeyDictionary()
        self._runs: Runs | None = None
        self.topic = f"daskbridge-prefect-{uuid4().hex[:12]}"
        flow_run = FlowRunContext.get()
        self._flow_run = flow_run.model_copy() if flow_run else None
        if given.adapt_kwargs and given.cluster is not None:
            given.cluster.adapt(**given.adapt_kwargs)
        with ExitStack() as stack:
            cluster = stack.enter_context(block)
            self.client: Client = cluster.client
            if given.client_kwargs:
                from distributed import Client

                own = {"security": cluster.security, "set_as_default": False, **given.client_kwargs}
                self.client = stack.enter_context(Client(cluster.scheduler_address, **own))
            report = Report()
            stack.callback(report.flush)
            self._equip(stack, exclusive=cluster.ref.exclusive)
            self._runs = Runs(self.client, self.topic, report)
            if given.performance_report_path:
                from distributed import performance_report

                stack.enter_context(self.client.as_current())
                stack.enter_context(performance_report(given.performance_report_path))
            self._stack = stack.pop_all()

    @property
    def runs(self) -> Runs:
        """Return the task runs that are followed."""
        assert self._runs is not None
        return self._runs

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None,
        dependencies: dict[str, set[RunInput]] | None,
    ) -> DaskFuture[Any]:
        """Pack a call and hand it to the cluster."""
        run = uuid4()
        options = options_of(task, self._groups)
        call, upstream = _call.pack_call(task, run, parameters, wait_for, dependencies)
        plain = os.environ.get(PLAIN) == "1"
        attempt = _worker.Attempt(self.topic, str(run), self._context(), self._task(task), call, plain=plain)
        future: DaskFuture[Any] = DaskFuture(run, self.runs.cancel)
        self.runs.start(Job(str(run), task, attempt, upstream, options, future))
        return future

    def lost(self) -> None:
        """End what waits for the cluster, which is gone. Any thread may call."""
        if self._runs is not None:
            self._runs.lost(ClusterLost("the cluster ended before the flow run did"))

    def close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> int:
        """End the cluster; return how many task runs had not ended. Raises ClusterLost if it was lost."""
        left = self.runs.close()
        with self._flow_run or nullcontext():  # left by now; what is published of the cluster belongs to it
            self._stack.__exit__(kind, error, trace)
        return left

    def _equip(self, stack: ExitStack, *, exclusive: bool) -> None:
        """Make scheduler and workers, present and later ones, ready for task runs."""
        scheduler = _scheduler.RunsOnScheduler(self.topic, self.client.id)
        worker = _worker.RunsOnWorker(self.topic)
        self.client.register_plugin(scheduler, name=self.topic)  # it goes with this client
        try:
            self.client.register_plugin(worker, name=self.topic)
        except ModuleNotFoundError as error:
            hint = "install prefect in the workers' image; @on_dask, a cluster for one task, needs none there"
            raise EnvironmentMismatch(str(error), hint=hint) from error
        if not exclusive:
            stack.callback(self.client.unregister_worker_plugin, self.topic)

    def _context(self) -> str:
        """Return the digest of the flow run's context, which is kept on the scheduler."""
        here = (FlowRunContext.get(), SettingsContext.get())
        for known, digest in self._packed:
            if known[0] is here[0] and known[1] is here[1]:
                return digest
        digest = self._keep(_context.pack_flow(_nested.NodeRunner()))
        self._packed.append((here, digest))
        return digest

    def _task(self, task: Task[..., Any]) -> bytes | str:
        """Return a pickled task, or the digest of a large one, which is kept on the scheduler."""
        found = self._tasks.get(task)
        if found is None:
            packed: bytes = cloudpickle.dumps(task)
            found = packed if len(packed) <= SMALL_TASK else self._keep(packed)
            self._tasks[task] = found
        return found

    def _keep(self, blob: bytes) -> str:
        digest = hashlib.sha256(blob).hexdigest()

        async def keep() -> None:
            await getattr(self.client.scheduler, _scheduler.KEEP)(topic=self.topic, digest=digest, blob=blob)

        self.client.sync(keep)
        return digest
