"""What the Prefect adapter answers to daskbridge's hooks; importing it imports no Prefect."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from daskbridge.plugins import Orchestrator, hookimpl

if TYPE_CHECKING:
    from daskbridge.code import CodeSpec
    from daskbridge.plugins import Run


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that this process runs a Prefect task or flow, and what to know of it."""
    if "prefect.context" not in sys.modules:  # so no run is here, and nothing has to be imported
        return [Orchestrator("prefect", detect=lambda: False)]
    from daskbridge_prefect._run import prefect

    return [prefect()]


@hookimpl
def daskbridge_code_source(run: Run) -> CodeSpec | Literal[False] | None:
    """Say which code the nodes of a Prefect run get: its flow's project."""
    if run.orchestrator != "prefect":
        return None
    from daskbridge_prefect._code import code_source

    return code_source(run)


@hookimpl
def daskbridge_step(step: str, state: str, run: Run) -> None:
    """Show how many of the cluster's tasks are done while the body of a Prefect task runs."""
    if step == "body" and state == "waiting" and run.orchestrator == "prefect" and not run.shared:
        from daskbridge_prefect._artifacts import show_progress

        show_progress(run)
