"""What the Temporal adapter answers to daskbridge's hooks; importing it imports no Temporal."""

from __future__ import annotations

from daskbridge.plugins import Orchestrator, hookimpl


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that a Temporal activity runs here, and what to know of it."""
    return [Orchestrator.at("temporal", "daskbridge_temporal._run", loaded="temporalio.activity")]
