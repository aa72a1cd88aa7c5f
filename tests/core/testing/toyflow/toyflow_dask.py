"""toyflow under daskbridge: all of the adapter."""

from __future__ import annotations

from daskbridge.plugins import Orchestrator, hookimpl


def current():
    import toyflow

    return toyflow.current()


def cancelled():
    return current().told_to_end.is_set()


@hookimpl
def daskbridge_orchestrators():
    return Orchestrator(
        "toyflow",
        loaded="toyflow",
        detect=lambda: current() is not None,
        identity=lambda: current().name,
        cancelled=cancelled,
        logger=lambda _: current().log,
        on_step=lambda step, _: current().heartbeats.append(f"{step.name} {step.state} {step.detail}"),
        on_ready=lambda run: current().links.append(run.ref.dashboard),
    )
