"""``DaskTaskRunner``: the tasks of a flow on one cluster, there for the flow run and gone with it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from prefect.task_runners import TaskRunner

from daskbridge import transient
from daskbridge_prefect._runner_arguments import Arguments
from daskbridge_prefect._runner_future import DaskFuture
from daskbridge_prefect._runner_session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from distributed import Client
    from prefect import Task
    from prefect.client.schemas.objects import RunInput
    from prefect.futures import PrefectFuture

    from daskbridge import Dask


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
        self._session: Session | None = None

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
        return self._opened().client

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
        return self._opened().submit(task, parameters, wait_for, dependencies)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session = self._session
        try:
            left = session.close(kind, error, trace) if session else 0
            if left and error is None:
                told = "%d task runs had not ended when their flow did; wait for their futures in the flow"
                self.logger.warning(told, left)
        finally:
            self._reset()
            super().__exit__(kind, error, trace)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: a flow that is pickled takes its runner along."""
        return {"_arguments": self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        DaskTaskRunner.__init__(self, **vars(state["_arguments"]))

    def _opened(self) -> Session:
        if not self._started:
            raise RuntimeError("the task runner is not started; it is while its flow runs")
        with self._starting:
            if self._session is None:
                self._session = Session(self._arguments, self._topology.groups, self._block)
        return self._session

    def _interrupted(self) -> None:
        if self._session is not None:
            self._session.lost()
