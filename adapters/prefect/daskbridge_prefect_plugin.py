"""What the Prefect adapter answers to daskbridge's hooks; importing it imports no Prefect."""

from __future__ import annotations

from daskbridge.plugins import Orchestrator, hookimpl


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that this process runs a Prefect task or flow, and what to know of it."""
    return [Orchestrator.at("prefect", "daskbridge_prefect._run", loaded="prefect.context")]
