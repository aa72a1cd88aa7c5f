"""Clusters: the contract of a provisioner, the reference to a cluster, and the built-in provisioners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.cluster._attached import AttachedCluster
    from daskbridge.cluster._cluster_class import ClusterClass
    from daskbridge.cluster._existing import Existing
    from daskbridge.cluster._local import LocalProvisioner
    from daskbridge.cluster._node import Node
    from daskbridge.cluster._process_provisioner import ProcessProvisioner
    from daskbridge.plugins._lease import Lease
    from daskbridge.plugins._provisioner import ClusterHandle, ClusterRef, Provisioner

__all__ = [
    "AttachedCluster",
    "ClusterClass",
    "ClusterHandle",
    "ClusterRef",
    "Existing",
    "Lease",
    "LocalProvisioner",
    "Node",
    "ProcessProvisioner",
    "Provisioner",
]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(["ClusterHandle", "ClusterRef", "Provisioner"], "daskbridge.plugins._provisioner")
    | {
        "AttachedCluster": "daskbridge.cluster._attached",
        "ClusterClass": "daskbridge.cluster._cluster_class",
        "Existing": "daskbridge.cluster._existing",
        "Lease": "daskbridge.plugins._lease",
        "LocalProvisioner": "daskbridge.cluster._local",
        "Node": "daskbridge.cluster._node",
        "ProcessProvisioner": "daskbridge.cluster._process_provisioner",
    },
)
