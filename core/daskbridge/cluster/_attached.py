"""A cluster that somebody else starts and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.plugins._provisioner import ClusterRef


class AttachedCluster:
    """Hold a cluster that is reached by its address alone: nothing is scaled, read or ended."""

    notes: tuple[str, ...] = ()
    security = None

    def __init__(self, ref: ClusterRef) -> None:
        self.ref = ref

    async def scale(self, group: str, number: int) -> None:
        """Refuse: it is not ours."""
        address = self.ref.scheduler_address
        msg = f"can't bring group {group!r} to {number} workers: the cluster at {address} is not ours"
        raise ProvisioningError(msg, hint="scale it where it was started")

    async def failure(self) -> str | None:
        """Know nothing: only the connection tells."""
        return None

    async def logs(self) -> Mapping[str, str]:
        """Return nothing: the owner has them."""
        return {}

    async def close(self, reason: str = "") -> None:
        """Leave the cluster running."""

    def request_close(self) -> None:
        """Leave the cluster running."""
