"""The cluster that Flyte's backend starts beside a task's pod, reached from that pod."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daskbridge.cluster import AttachedCluster, ClusterRef
from daskbridge.errors import SettingError
from daskbridge.plugins import plugins
from daskbridge.serialization import check
from daskbridge_flyte._target import ADVICE, CAPABILITIES, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge import Dask
    from daskbridge.plugins import Run

OWNER = "Flyte's backend, which ends the cluster together with the task's pod"
#: Seconds for one attempt to reach the scheduler, and between two.
ATTEMPT, PAUSE = 2.0, 0.25


class FlyteBackend:
    """Reach the cluster that the backend has started for this task; runs in the task's pod.

    The scheduler may come up long after the task's pod: it is waited for as long as the topology's
    ``start_timeout`` allows.
    """

    name = "flyte"
    capabilities = CAPABILITIES
    adapts: Mapping[str, str] = {}
    advice = ADVICE

    def check(self, topology: Dask) -> None:
        """Raise a DaskbridgeError for what the backend can't do; called when a task is defined."""
        check(topology, self)
        self.validate(topology)

    def adjusted(self, topology: Dask) -> Dask:
        """Return the topology as the plugins of this installation adjust it, checked again."""
        topology = plugins().topology(topology, self)
        self.check(topology)
        return topology

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for values that a DaskJob can't hold."""
        validate(topology)

    async def provision(self, topology: Dask, run: Run) -> AttachedCluster:  # noqa: ARG002 -- the contract
        """Wait for the scheduler and return; the workers are on their way."""
        import dask.config

        address = dask.config.get("scheduler-address", None)
        if not address:
            msg = "the task runs in Flyte's backend without a scheduler: DASK_SCHEDULER_ADDRESS is not set"
            hint = "the backend's plugin for tasks of type 'dask' and the Dask operator must be enabled"
            raise SettingError(msg, hint=hint)
        run.hint = where_to_look(address)
        await _reachable(address, run)
        name = address.partition("://")[2]
        return await self.attach(ClusterRef(self.name, name, address, owner=OWNER, supervised=True))

    async def attach(self, ref: ClusterRef) -> AttachedCluster:
        """Return a handle on the cluster that ``ref`` names."""
        return AttachedCluster(ref)


async def _reachable(address: str, run: Run) -> None:
    from distributed.comm.core import connect

    run.tell(f"no scheduler at {address} yet")
    while True:
        try:
            comm = await connect(address, timeout=ATTEMPT)
        except OSError as error:
            run.tell(f"no scheduler at {address} yet: {_cause(error)}")
            await asyncio.sleep(PAUSE)
        else:
            comm.abort()
            return


def _cause(error: BaseException) -> str:
    """Return the system's own words, the last in Dask's chain of errors; a timeout has none."""
    link: BaseException | None = error
    words = ""
    while link is not None:
        words = str(link) or words
        link = link.__cause__ or link.__context__
    return words


def where_to_look(address: str) -> str:
    """Say where a person sees why pods do not come up.

    >>> where_to_look("tcp://a1-scheduler.jobs.svc.cluster.local:8786")  # doctest: +ELLIPSIS
    "kubectl --namespace jobs get pods --selector dask.org/cluster-name=a1: look for images that can't ..."
    """
    name, namespace, kind, *_ = [*address.partition("://")[2].partition(":")[0].split("."), "", "", ""]
    pods = "the cluster's pods"
    if kind == "svc":
        cluster = name.removesuffix("-scheduler")
        pods = f"kubectl --namespace {namespace} get pods --selector dask.org/cluster-name={cluster}"
    return f"{pods}: look for images that can't be pulled, resources that no node has, an exhausted quota"
