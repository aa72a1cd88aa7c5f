"""``existing``: a scheduler that runs already, shared with others and left as it was found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.cluster._address import full_address
from daskbridge.cluster._attached import AttachedCluster
from daskbridge.cluster._options import options
from daskbridge.errors import ProvisioningError, TopologyError
from daskbridge.plugins._provisioner import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask

#: What the owner of a running cluster has decided already.
DECIDED = "the running cluster has its own"


@dataclass(frozen=True)
class Existing:
    """Attach to a running scheduler; never scale it, close its workers or end it.

    ``address`` as ``tcp://host:8786``, or ``scheduler_file`` as ``dask scheduler --scheduler-file``
    wrote it; both may come from the topology's ``provisioner_options["existing"]``, and the last
    resort is Dask's own setting ``scheduler-address``. A given address is checked at definition, the
    file and the setting are read when the cluster is wanted. What a topology asks of nodes can't be
    had here; counts say only how many workers to wait for.
    """

    address: str | None = None
    scheduler_file: str | None = None
    name: str = field(default="existing", init=False)
    capabilities: frozenset[str] = field(default=frozenset(), init=False)
    adapts: Mapping[str, str] = field(
        default_factory=lambda: {
            "images": DECIDED,
            "worker-resources": DECIDED,
            "scheduler-resources": DECIDED,
            "threads": DECIDED,
        },
        init=False,
    )

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for unknown options and for a given address that can't be one."""
        address, _ = self._given(topology)
        if address:
            full_address(address)

    async def provision(self, topology: Dask, run: Run) -> AttachedCluster:
        """Return a handle; the run connects next. Raises ProvisioningError if no address is known."""
        return AttachedCluster(
            ClusterRef(self.name, run.name, self._find(topology), exclusive=False, owner="its owner")
        )

    def diagnose(self) -> str:
        """Say which scheduler Dask's configuration names."""
        import dask.config

        known = dask.config.get("scheduler-address", None)
        return f"Dask's setting scheduler-address names {known}" if known else "needs a scheduler's address"

    async def attach(self, ref: ClusterRef) -> AttachedCluster:
        """Return a handle on the cluster that ``ref`` names."""
        return AttachedCluster(ref)

    def _given(self, topology: Dask) -> tuple[str | None, str | None]:
        given = options(topology, self.name, {"address": str, "scheduler_file": str})
        return self.address or given.get("address"), self.scheduler_file or given.get("scheduler_file")

    def _find(self, topology: Dask) -> str:
        address, file = self._given(topology)
        if not address and file:
            try:
                address = json.loads(Path(file).read_text("utf-8"))["address"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                msg = f"no scheduler address in the scheduler file {file!r}: {error}"
                raise ProvisioningError(
                    msg, hint="it is what 'dask scheduler --scheduler-file' writes"
                ) from error
        if not address:
            import dask.config

            address = dask.config.get("scheduler-address", None)
        if not address:
            msg = "provisioner 'existing' needs the address of a running scheduler"
            hint = "set provisioner_options.existing.address to tcp://HOST:8786, or pass Existing(address)"
            raise ProvisioningError(msg, hint=hint)
        try:
            return full_address(str(address))
        except TopologyError as error:
            hint = "correct the scheduler file, or Dask's setting scheduler-address"
            raise ProvisioningError(str(error), hint=hint) from error
