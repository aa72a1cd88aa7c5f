"""A flow run that was told to end tells the tasks in its threads, which no signal reaches."""

from __future__ import annotations

from prefect.context import FlowRunContext, TaskRunContext


class FlowInterrupted:
    """Be the cancel event of a task's cluster: set once Prefect tears the flow run down in its midst.

    On SIGTERM or Ctrl-C Prefect waits for its threads to end, however long their tasks take. Looks at
    the context of whoever asks. Prefect keeps no public account of it; without the private one
    a task in a thread runs on until the process is killed.
    """

    def is_set(self) -> bool:
        """Tell whether the flow run ends although neither its body nor an error in it has said so."""
        flow, task = FlowRunContext.get(), TaskRunContext.get()
        if flow is None or task is None or flow.flow_run is None or flow.flow_run.state is None:
            return False
        event = getattr(flow.task_runner, "_cancel_events", {}).get(task.task_run.id)
        # a flow that ends in order has a final state by then, and Prefect lets its last tasks finish
        return event is not None and event.is_set() and flow.flow_run.state.is_running()
