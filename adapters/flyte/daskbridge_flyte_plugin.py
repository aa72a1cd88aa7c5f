"""What the Flyte adapter answers to daskbridge's hooks; importing it imports no Flyte."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daskbridge.plugins import Orchestrator, Serializer, hookimpl

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import Provisioner, Run


@hookimpl
def daskbridge_serializers() -> list[Serializer]:
    """Offer the DaskJob of Flyte's backend as a form of a topology."""
    from daskbridge_flyte._job import dask_job
    from daskbridge_flyte._target import ADVICE, BESIDE, CAPABILITIES

    held = CAPABILITIES - BESIDE.keys()
    return [Serializer("flyte", dask_job, capabilities=held, adapts=BESIDE, advice=ADVICE)]


@hookimpl
def daskbridge_provisioners() -> list[Provisioner]:
    """Offer the cluster that Flyte's backend starts together with a task's pod."""
    from daskbridge_flyte._backend import FlyteBackend

    return [FlyteBackend()]


@hookimpl
def daskbridge_orchestrators() -> list[Orchestrator]:
    """Say how to tell that this process runs a Flyte task."""
    # without flow: in the backend each task has a pod of its own
    return [Orchestrator("flyte", detect=_in_task)]


@hookimpl
def daskbridge_code_source(run: Run) -> CodeBundle | CodeSpec | InstalledCode | bool | None:
    """Say which code a Flyte task's nodes get: what Flyte gave the task itself."""
    if run.orchestrator != "flyte":
        return None
    from daskbridge_flyte._code import code_source

    return code_source(run)


def _in_task() -> bool:
    flyte = sys.modules.get("flyte")
    return flyte is not None and bool(flyte.ctx())
