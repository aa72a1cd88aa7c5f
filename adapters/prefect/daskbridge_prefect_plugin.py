"""What the Prefect adapter answers to daskbridge's hooks; importing it imports no Prefect."""

from __future__ import annotations

import sys

from daskbridge.plugins import Orchestrator, hookimpl


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that this process runs a Prefect task or flow, and which."""
    return [Orchestrator("prefect", detect=_in_run)]


def _in_run() -> bool:
    context = sys.modules.get("prefect.context")
    return context is not None and bool(context.TaskRunContext.get() or context.FlowRunContext.get())
