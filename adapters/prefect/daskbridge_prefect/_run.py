"""What daskbridge must know of the Prefect run that it is in, and what that run shows of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger

from daskbridge.plugins import Orchestrator
from daskbridge_prefect import _artifacts

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from daskbridge.plugins import Run


def prefect() -> Orchestrator:
    """Return what the core asks of Prefect; its functions run in the process and the context of the run."""
    return Orchestrator(
        "prefect",
        detect=in_run,
        identity=identity,
        flow=flow,
        flow_open=flow_open,
        logger=logger,
        on_ready=on_ready,
        on_close=on_close,
    )


def in_run() -> bool:
    """Tell whether a task or a flow of Prefect's runs here."""
    return bool(TaskRunContext.get() or FlowRunContext.get())


def identity() -> str | None:
    """Return the name that Prefect shows of the run."""
    if task := TaskRunContext.get():
        return task.task_run.name
    flow = FlowRunContext.get()
    return flow.flow_run.name if flow and flow.flow_run else None


def flow() -> str | None:
    """Return the id of the flow run; None where it is not this process's, as in a task runner's processes."""
    context = FlowRunContext.get()
    if context is None or context.detached or context.flow_run is None:
        return None
    return str(context.flow_run.id)


def flow_open() -> Callable[[], bool] | None:
    """Return what tells whether the flow run goes on here.

    A context has no public way to tell whether it was left. Without the private one a shared cluster
    ends with the last task that is in.
    """
    context = FlowRunContext.get()
    if getattr(context, "_token", None) is None:
        return None
    return lambda: getattr(context, "_token", None) is not None


def logger(run: Run) -> logging.Logger | logging.LoggerAdapter[Any]:
    """Return the log of the task run; of the flow run for a cluster that its tasks share."""
    context = FlowRunContext.get()
    if run.shared and context is not None and context.flow_run is not None:
        return flow_run_logger(context.flow_run, context.flow)
    return get_run_logger()


def on_ready(run: Run) -> None:
    """Log that the cluster is there, and publish the link to its dashboard."""
    assert run.ref is not None
    get_run_logger().info("Dask cluster %s is ready; %s", run.ref.name, run.ref.dashboard)
    _artifacts.publish_link(run)


def on_close(run: Run) -> None:
    """Log the hints and notes of an error, which Prefect leaves out where it retries, and sum the run up."""
    notes = getattr(run.error, "__notes__", None)
    if notes:
        get_run_logger().error("%s", "\n".join(notes))
    _artifacts.summarize(run)
