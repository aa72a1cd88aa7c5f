"""Offer the provisioner ``cluster-class``."""

from __future__ import annotations

from daskbridge.cluster._cluster_class import ClusterClass
from daskbridge.plugins import hookimpl


@hookimpl
def daskbridge_provisioners() -> list[ClusterClass]:
    """Offer any class of Dask's cluster family."""
    return [ClusterClass()]
