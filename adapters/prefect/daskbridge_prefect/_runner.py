"""``DaskTaskRunner``: the tasks of a flow on one cluster, there for the flow run and gone with it."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import cloudpickle
from prefect.context import FlowRunContext, SettingsContext
from prefect.task_runners import TaskRunner

from daskbridge import transient
from daskbridge.errors import ClusterLost, EnvironmentMismatch
from daskbridge_prefect._runner_arguments import Arguments
from daskbridge_prefect._runner_call import pack_call
from daskbridge_prefect._runner_context import pack_flow
from daskbridge_prefect._runner_future import DaskFuture
from daskbridge_prefect._runner_options import options_of
from daskbridge_prefect._runner_report import Report
from daskbridge_prefect._runner_runs import Job, Runs
from daskbridge_prefect._runner_scheduler import KEEP
from daskbridge_prefect._runner_travel import node_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from distributed import Client
    from prefect import Task
    from prefect.client.schemas.objects import RunInput
    from prefect.futures import PrefectFuture

    from daskbridge import Cluster, Dask

#: A pickled task of at most so many bytes travels with each of its runs, a larger one once to each worker.
SMALL_TASK = 16 * 1024


class DaskTaskRunner(TaskRunner[DaskFuture[Any]]):
    """Run the tasks of a flow on one Dask cluster, which starts with the first and ends with the flow run.

    ``cluster`` is a topology; ``provisioner`` and ``code`` are those of :func:`daskbridge.transient`. The
    other arguments are prefect-dask's, so that changing the import is enough. Workers need ``prefect``.

    A task run whose worker dies is tried again if the task has ``retries`` left, else it ends in Crashed; one
    that has ended is never run again. When the cluster ends early, what waits for it ends in
    :class:`~daskbridge.errors.ClusterLost`. Raises ValueError or TypeError for wrong arguments at
    construction, and a :class:`~daskbridge.errors.DaskbridgeError` from the first ``submit`` if the cluster
    can't be started.

    >>> from daskbridge import Dask, WorkerGroup
    >>> from prefect import flow
    >>> @flow(task_runner=DaskTaskRunner(cluster=Dask(workers=WorkerGroup(4))))
    ... def pipeline(): ...
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- prefect-dask's arguments in its order, and two
        self,
        cluster: Dask | Any = None,  # noqa: ANN401 -- a topology, or a running cluster of Dask's family
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        performance_report_path: str | None = None,
        *,
        provisioner: Any = None,  # noqa: ANN401 -- a name or a provisioner
        code: Any = None,  # noqa: ANN401 -- as transient() takes it
    ) -> None:
        self._arguments = Arguments(
            cluster,
            address,
            cluster_class,
            dict(cluster_kwargs or {}),
            dict(adapt_kwargs or {}),
            dict(client_kwargs or {}),
            performance_report_path,
            provisioner,
            code,
        )
        self._topology, self._provisioner = self._arguments.resolve()
        self._block = transient(  # checked now, started with the first task
            self._topology,
            provisioner=self._provisioner,
            code=code,
            name="prefect",
            on_interrupt=self._interrupted,
        )
        self._reset()
        super().__init__()  # type: ignore[no-untyped-call]

    def _reset(self) -> None:
        self._starting = threading.Lock()
        self._stack = ExitStack()
        self._cluster: Cluster | None = None
        self._client: Client | None = None
        self._runs: Runs | None = None
        self._flow_run: FlowRunContext | None = None
        self._packed: list[tuple[tuple[Any, Any], str]] = []
        self._tasks: weakref.WeakKeyDictionary[Any, bytes | str] = weakref.WeakKeyDictionary()
        self._topic = f"daskbridge-prefect-{uuid4().hex[:12]}"

    def duplicate(self) -> DaskTaskRunner:
        """Return a runner with the same arguments and a cluster of its own."""
        return type(self)(**vars(self._arguments))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DaskTaskRunner) and self._arguments == other._arguments

    __hash__ = None  # type: ignore[assignment]  # as prefect-dask's: arguments may hold mappings

    @property
    def name(self) -> str:
        """Return the name by which Prefect logs."""
        return "dask"

    @property
    def client(self) -> Client:
        """Return a client of the cluster, which is started if it has not been."""
        if not self._started:
            raise RuntimeError("the task runner is not started; it is while its flow runs")
        with self._starting:
            if self._client is None:
                self._start()
        assert self._client is not None
        return self._client

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[RunInput]] | None = None,
    ) -> DaskFuture[Any]:
        """Submit a task and return at once; Prefect calls this for ``task.submit`` and ``task.map``.

        Arguments may hold futures of other tasks at any depth: their results need not come here.
        """
        client = self.client
        runs = self._runs
        assert runs is not None
        run = uuid4()
        options = options_of(task, self._topology.groups)
        call, upstream = pack_call(task, run, parameters, wait_for, dependencies)
        plain = os.environ.get("DASKBRIDGE_PREFECT_PLAIN") == "1"
        attempt = node_module("_runner_worker").Attempt(
            self._topic, str(run), self._context(client), self._task(client, task), call, plain=plain
        )
        future: DaskFuture[Any] = DaskFuture(run, runs.cancel)
        runs.start(Job(str(run), task, attempt, upstream, options, future))
        return future

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._runs is not None:
                left = self._runs.close()
                if left and error is None:
                    told = (
                        "%d task runs had not ended when their flow did; wait for their futures in the flow"
                    )
                    self.logger.warning(told, left)
            with (
                self._flow_run or nullcontext()
            ):  # left by now; what is published of the cluster belongs to it
                self._stack.__exit__(kind, error, trace)
        finally:
            self._reset()
            super().__exit__(kind, error, trace)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: a flow that is pickled takes its runner along."""
        return {"_arguments": self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        DaskTaskRunner.__init__(self, **vars(state["_arguments"]))

    def _start(self) -> None:
        given = self._arguments
        if given.adapt_kwargs and given.cluster is not None:
            given.cluster.adapt(**given.adapt_kwargs)
        with ExitStack() as stack:
            cluster = self._cluster = stack.enter_context(self._block)
            client = cluster.client
            if given.client_kwargs:
                from distributed import Client

                own = {"security": cluster.security, "set_as_default": False, **given.client_kwargs}
                client = stack.enter_context(Client(cluster.scheduler_address, **own))
            flow_run = FlowRunContext.get()
            self._flow_run = flow_run.model_copy() if flow_run else None
            report = Report()
            stack.callback(report.flush)
            self._equip(client, stack)
            self._runs = Runs(client, self._topic, report)
            if given.performance_report_path:
                from distributed import performance_report

                stack.enter_context(client.as_current())
                stack.enter_context(performance_report(given.performance_report_path))
            self._client = client
            self._stack = stack.pop_all()

    def _equip(self, client: Client, stack: ExitStack) -> None:
        """Make scheduler and workers, present and later ones, ready for task runs."""
        assert self._cluster is not None
        scheduler = node_module("_runner_scheduler").RunsOnScheduler(self._topic, client.id)
        client.register_plugin(scheduler, name=self._topic)
        try:
            client.register_plugin(node_module("_runner_worker").RunsOnWorker(self._topic), name=self._topic)
        except ModuleNotFoundError as error:
            hint = "install prefect in the workers' image; @on_dask, a cluster for one task, needs none there"
            raise EnvironmentMismatch(str(error), hint=hint) from error
        if not self._cluster.ref.exclusive:
            stack.callback(client.unregister_scheduler_plugin, self._topic)
            stack.callback(client.unregister_worker_plugin, self._topic)

    def _context(self, client: Client) -> str:
        """Return the digest of the flow run's context, which is kept on the scheduler."""
        here = (FlowRunContext.get(), SettingsContext.get())
        for known, digest in self._packed:
            if known[0] is here[0] and known[1] is here[1]:
                return digest
        blob = pack_flow(node_module("_runner_nested").NodeRunner())
        digest = self._keep(client, blob)
        self._packed.append((here, digest))
        return digest

    def _task(self, client: Client, task: Task[..., Any]) -> bytes | str:
        """Return a pickled task, or the digest of a large one, which is kept on the scheduler."""
        found = self._tasks.get(task)
        if found is None:
            packed = cloudpickle.dumps(task)
            found = packed if len(packed) <= SMALL_TASK else self._keep(client, packed)
            self._tasks[task] = found
        return found

    def _keep(self, client: Client, blob: bytes) -> str:
        digest = hashlib.sha256(blob).hexdigest()

        async def keep() -> None:
            await getattr(client.scheduler, KEEP)(topic=self._topic, digest=digest, blob=blob)

        client.sync(keep)
        return digest

    def _interrupted(self) -> None:
        if self._runs is not None:
            self._runs.lost(ClusterLost("the cluster ended before the flow run did"))
