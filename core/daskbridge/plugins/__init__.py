"""Plugins: the hooks, who implements them, and the one typed way to call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.plugins._facade import Plugins, plugins
    from daskbridge.plugins._orchestrator import Orchestrator
    from daskbridge.plugins._provisioner import ClusterHandle, ClusterRef, Provisioner
    from daskbridge.plugins._spec import API_VERSION, hookimpl
    from daskbridge.plugins._types import (
        ClusterPlugin,
        Equipment,
        PluginInfo,
        Run,
        Serializer,
        Step,
        Target,
    )

__all__ = [
    "API_VERSION",
    "ClusterHandle",
    "ClusterPlugin",
    "ClusterRef",
    "Equipment",
    "Orchestrator",
    "PluginInfo",
    "Plugins",
    "Provisioner",
    "Run",
    "Serializer",
    "Step",
    "Target",
    "hookimpl",
    "lazy",
    "plugins",
]

__getattr__, __dir__ = lazy(
    __name__,
    dict.fromkeys(__all__, "daskbridge.plugins._types")
    | {"Orchestrator": "daskbridge.plugins._orchestrator"}
    | dict.fromkeys(["ClusterHandle", "ClusterRef", "Provisioner"], "daskbridge.plugins._provisioner")
    | dict.fromkeys(["API_VERSION", "hookimpl"], "daskbridge.plugins._spec")
    | dict.fromkeys(["Plugins", "plugins"], "daskbridge.plugins._facade"),
)
