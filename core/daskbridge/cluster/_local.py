"""``local``: clean processes on this machine, a stand-in for a real cluster down to its empty path."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread
from daskbridge.cluster._fit import Machine, fit
from daskbridge.cluster._local_cluster import LocalCluster
from daskbridge.cluster._local_environment import node_environment
from daskbridge.cluster._options import options
from daskbridge.cluster._zygote import Zygote
from daskbridge.errors import ProvisioningError, TopologyError
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.plugins import ClusterRef, Run
    from daskbridge.topology import Dask

#: This provisioner's own options, by name.
OPTIONS = {"exact": bool}


class LocalProvisioner:
    """Start a scheduler and workers as clean processes of this machine, forked by one that is warm.

    Nodes inherit neither ``sys.path`` nor ``__main__``, start in an empty directory, get the
    driver's environment without what leads to its code or to other clusters, and listen on the
    loopback interface only. So code reaches them as it would reach another machine. Options: ``exact``
    (bool, default False): start what was asked or fail, instead of what fits.
    """

    name = "local"
    capabilities = frozenset(
        {
            "adaptive",
            "worker-groups",
            "worker-resources",
            "env",
            "threads",
            "local-directory",
            "abstract-resources",
            "dask-config",
            "max-lifetime",
        }
    )
    adapts: Mapping[str, str] = {
        "images": "local nodes run in the driver's own environment",
        "scheduler-resources": "a local scheduler is not limited",
        "gpu": "local workers see the GPUs that this machine has",
        "disk": "local workers share this machine's disk",
        "shm": "local workers share this machine's memory",
    }

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for unknown options, and where a group of several is adaptive."""
        options(topology, self.name, OPTIONS)
        adaptive = [name for name, group in topology.groups.items() if group.max_workers is not None]
        if adaptive and len(topology.groups) > 1:
            number = len(topology.groups)
            msg = f"{', '.join(adaptive)}: max_workers was given, and there are {number} worker groups"
            raise TopologyError(msg, hint="a local cluster adapts where it has one group: drop max_workers")

    def warm(self, topology: Dask) -> None:
        """Let the nodes' process begin with its imports, make the driver's own, begin with certificates.

        The driver's are made here, before any thread is there that imports something: Python lets imports in
        several threads fail where they need each other. A process that is not to stay warm does not start
        before it is needed: a run may end before its cluster is provisioned.
        """
        zygote = self._zygote(topology) if setting("local-warm") > 0 else None
        import distributed  # noqa: F401 -- as said

        if zygote is not None and setting("tls"):
            zygote.certify()

    async def provision(self, topology: Dask, run: Run) -> LocalCluster:
        """Start the nodes; the scheduler is up on return, the workers are on their way."""
        exact = options(topology, self.name, OPTIONS).get("exact", False)
        shares, notes = await in_thread(lambda: fit(topology, Machine.here(), exact=exact))
        fits = sum(share.number for share in shares.values())
        if fits < topology.workers_to_wait_for:
            run.topology = replace(topology, min_workers=fits)
            notes += (f"min_workers: {topology.min_workers} were to be waited for, {fits} are",)
        zygote = self._zygote(topology)
        try:
            return await LocalCluster.start(zygote, run, topology, shares, notes)
        except ProvisioningError:
            if not zygote.expired:
                raise
        return await LocalCluster.start(self._zygote(topology), run, topology, shares, notes)

    def diagnose(self) -> str:
        """Say how large this machine is."""
        return Machine.here().words

    async def attach(self, ref: ClusterRef) -> LocalCluster:
        """Refuse: a local cluster ends with the process that started it; attach with ``existing``."""
        raise ref.not_ours()

    def _zygote(self, topology: Dask) -> Zygote:
        start: str = setting("local-start")
        fork = sys.platform == "linux" if start == "auto" else start == "fork"
        return Zygote.acquire(node_environment(topology.config), fork=fork, warm=setting("local-warm"))
