"""What the Flyte adapter answers to daskbridge's hooks; importing it imports no Flyte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.plugins import Orchestrator, Serializer, hookimpl

if TYPE_CHECKING:
    from daskbridge.plugins import Provisioner


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
    return [Orchestrator.at("flyte", "daskbridge_flyte._run", loaded="flyte")]
