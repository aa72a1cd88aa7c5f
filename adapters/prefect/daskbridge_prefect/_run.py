"""What daskbridge must know of the Prefect run that it is in, and what that run shows of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger

from daskbridge_prefect import _artifacts, _code

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from daskbridge.code import CodeSpec
    from daskbridge.plugins import Run, Step


def detect() -> bool:
    """Tell whether a task or a flow of Prefect's runs here."""
    return bool(TaskRunContext.get() or FlowRunContext.get())


def identity() -> str | None:
    """Return the name that Prefect shows of the run."""
    if task := TaskRunContext.get():
        return task.task_run.name
    flow = FlowRunContext.get()
    return flow.flow_run.name if flow and flow.flow_run else None


def code_source(run: Run) -> CodeSpec | Literal[False]:
    """Return what the nodes get: the project of the run's flow."""
    return _code.code_source(run)


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


def cancelled() -> bool:
    """Tell whether the flow run ends although neither its body nor an error in it has said so.

    On SIGTERM or Ctrl-C Prefect waits for its threads to end, which no signal reaches, however long their
    tasks take. It keeps no public account of that; without the private one a task in a thread runs on
    until the process is killed.
    """
    flow, task = FlowRunContext.get(), TaskRunContext.get()
    if flow is None or task is None or flow.flow_run is None or flow.flow_run.state is None:
        return False
    event = getattr(flow.task_runner, "_cancel_events", {}).get(task.task_run.id)
    # a flow that ends in order has a final state by then, and Prefect lets its last tasks finish
    return event is not None and event.is_set() and flow.flow_run.state.is_running()


def on_ready(run: Run) -> None:
    """Log that the cluster is there, and publish the link to its dashboard."""
    assert run.ref is not None
    get_run_logger().info("Dask cluster %s is ready; %s", run.ref.name, run.ref.dashboard)
    _artifacts.publish_link(run)


def on_step(step: Step, run: Run) -> None:
    """Show how many of the cluster's tasks are done while the body runs."""
    if step.name == "body" and step.state == "waiting":
        _artifacts.show_progress(run)


def on_close(run: Run) -> None:
    """Log the hints and notes of an error, which Prefect leaves out where it retries, and sum the run up."""
    notes = getattr(run.error, "__notes__", None)
    if notes:
        get_run_logger().error("%s", "\n".join(notes))
    _artifacts.summarize(run)
