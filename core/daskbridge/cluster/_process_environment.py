"""What nodes that are started by a command get by their environment: certificates, lease, configuration."""

from __future__ import annotations

import base64
import pickle
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._local_environment import node_environment
from daskbridge.cluster._tls import node_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Security

    from daskbridge.plugins import Equipment
    from daskbridge.topology import Dask

#: What this process may have for other clusters, and what is said anew: Dask lets a variable of its own win.
REPLACED = (
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION",
    "DASK_DISTRIBUTED__COMM__TLS__",
    "DASK_DISTRIBUTED__SCHEDULER__PRELOAD",
)
#: What a scheduler prints once it can be reached. Dask's own log says the same, where it is not silenced.
ADDRESS = "Scheduler at:"
#: A scheduler that starts has its lease before anybody knows it. Dask logs this text, so nothing is in it.
_PRELOAD = f"""
import base64, pickle, dask.config

async def dask_setup(scheduler):
    for packed in dask.config.get("daskbridge-node", []):
        plugin = pickle.loads(base64.b64decode(packed))
        await scheduler.register_scheduler_plugin(plugin, plugin.name, idempotent=False)
    print("{ADDRESS}", scheduler.address, flush=True)
"""


def environments(
    topology: Dask, security: Security | None, equipment: Equipment
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment of the scheduler and that of workers, without ``env`` of the topology.

    All that is ours is in one variable, ``DASK_INTERNAL_INHERIT_CONFIG``: a command that starts nodes
    elsewhere has to hand on that one.
    """
    import dask.config
    import distributed  # noqa: F401 -- it brings the defaults

    secret = dask.config.merge(topology.config, node_config(security))
    preload = dask.config.merge(secret, _preloads(topology.config, equipment))
    return _environ(preload), _environ(secret)


def _preloads(config: Mapping[str, Any], equipment: Equipment) -> dict[str, Any]:
    """Return the configuration by which a scheduler has its lease; the user's own preloads come first."""
    import dask.config

    from daskbridge.node.lease import OwnerLease

    def known(key: str) -> list[Any]:
        merged = dask.config.merge(dask.config.config, config)
        value = dask.config.get(f"distributed.scheduler.{key}", None, config=merged) or []
        return [value] if isinstance(value, str) else list(value)

    arguments = known("preload-argv")
    if arguments and not isinstance(arguments[0], str):
        arguments.append([])  # one list for each preload
    leases = [plugin for plugin in equipment.scheduler if isinstance(plugin, OwnerLease)]
    return {
        "daskbridge-node": [base64.b64encode(pickle.dumps(plugin)).decode() for plugin in leases],
        "distributed": {"scheduler": {"preload": [*known("preload"), _PRELOAD], "preload-argv": arguments}},
    }


def _environ(config: Mapping[str, Any]) -> dict[str, str]:
    environ = node_environment(config)
    return {name: value for name, value in environ.items() if not name.upper().startswith(REPLACED)}
