"""What the NAME adapter answers to daskbridge's hooks; importing it imports no orchestrator."""

from __future__ import annotations

from daskbridge.plugins import Orchestrator, hookimpl

DASKBRIDGE_API = ">=1,<2"


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that this process runs a task of NAME's, and what to know of it."""
    return [Orchestrator.at("NAME", "daskbridge_NAME._run", loaded="toy_NAME")]
