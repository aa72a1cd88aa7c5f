"""The code that a Prefect run's nodes get: the project of its flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prefect.context import FlowRunContext

from daskbridge.code import module_spec

if TYPE_CHECKING:
    from daskbridge.code import CodeSpec
    from daskbridge.plugins import Run


def code_source(run: Run) -> CodeSpec | Literal[False]:
    """Return what the nodes get; called in the process of the flow run.

    The project that the flow's file belongs to. Of a deployment that is the directory into which Prefect
    pulled it, where that is the working directory and the file lies below. Of an installed flow it
    is the project of the task's module; of an installed task nothing, since it is in the nodes' image.
    """
    context = FlowRunContext.get()
    deployed = context is not None and context.flow_run is not None and context.flow_run.deployment_id
    working = Path.cwd() if deployed else None
    if context is not None and context.flow is not None:
        spec = module_spec(context.flow.fn.__module__, working=working)
        if spec is not False:
            return spec
    return module_spec(run.entry, working=working)
