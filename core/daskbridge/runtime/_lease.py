"""Who ends the cluster of a run, and when."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from daskbridge.errors import LifetimeOver
from daskbridge.plugins._lease import Lease
from daskbridge.settings import setting

if TYPE_CHECKING:
    from daskbridge.cluster import ClusterRef
    from daskbridge.node.lease import OwnerLease
    from daskbridge.plugins import Run
    from daskbridge.topology import Dask

#: Seconds between two signs of life of a driver, at most.
HEARTBEAT = 5.0


def owner_of(run: Run) -> str:
    """Return the name of the core's client, by which a scheduler knows the owner of its lease."""
    return f"daskbridge-{run.id}"


def lease_of(ref: ClusterRef, topology: Dask) -> Lease:
    """Return the lease of a cluster: one of ours ends itself, another by whom it belongs to."""
    lifetime = topology.max_lifetime
    if not ref.exclusive:
        return Lease(None, None, None, lifetime, ends=ref.owner or "its owner")
    if ref.supervised:
        return Lease(None, None, None, lifetime, ends=ref.owner or "the platform that runs it")
    return own_lease(topology)


def own_lease(topology: Dask) -> Lease:
    """Return the lease of a cluster that this process owns, by the settings."""
    driver = f"process {os.getpid()}"
    if not setting("lease"):
        return Lease(None, None, None, topology.max_lifetime, ends=f"{driver} when its block ends")
    start, grace, stale = (float(setting(f"lease-{term}")) for term in ("start", "grace", "stale"))
    ends = (
        f"{driver} when its block ends; the cluster itself {grace:g} s after that process is gone"
        f" or {stale:g} s after it falls silent"
    )
    if topology.max_lifetime is not None:
        ends = f"{ends}, and {topology.max_lifetime:g} s after it was provisioned at the latest"
    return Lease(start, grace, stale, topology.max_lifetime, ends)


def lease_plugin(run: Run, lease: Lease) -> OwnerLease | None:
    """Return what a scheduler needs to keep to a lease, or None for one that somebody else keeps.

    The scheduler counts the lifetime by the grace longer: the driver ends the body in order, and first.
    """
    if lease.start is None or lease.grace is None or lease.stale is None:
        return None
    from daskbridge.node.lease import OwnerLease

    return OwnerLease(
        owner=owner_of(run),
        start=lease.start,
        grace=lease.grace,
        stale=lease.stale,
        lifetime=None if lease.lifetime is None else lease.lifetime + lease.grace,
    )


def heartbeat(lease: Lease) -> float:
    """Return after how many seconds the owner must give a sign of life, so that some may be late."""
    return HEARTBEAT if lease.stale is None else min(HEARTBEAT, lease.stale / 4)


class Lifetime:
    """Count from when a cluster was provisioned, which is now."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._began = time.monotonic()

    def over(self) -> LifetimeOver | None:
        """Return the error in which a run ends whose cluster has existed for too long."""
        if self._limit is None or time.monotonic() - self._began < self._limit:
            return None
        msg = f"the cluster's lifetime is over: max_lifetime={self._limit:g} s was given"
        hint = "raise Dask(max_lifetime=), or let more workers share the work"
        return LifetimeOver(msg, hint=hint)
