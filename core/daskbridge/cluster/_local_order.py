"""What the supervising process is told of a local cluster that it is to start."""

from __future__ import annotations

import base64
import pickle
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._local_environment import node_environment
from daskbridge.cluster._tls import secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from daskbridge.cluster._fit import Share
    from daskbridge.plugins import Run
    from daskbridge.topology import Dask

#: Seconds after which a worker without a scheduler gives up.
DEATH_TIMEOUT = 60


def order_of(
    run: Run,
    topology: Dask,
    shares: Mapping[str, Share],
    directory: Path,
    security: Any,  # noqa: ANN401 -- distributed's Security, or None
) -> dict[str, Any]:
    """Say what all nodes have, the scheduler, and each group of workers; ``json`` can write it."""
    from dask.config import get

    config = _configured(topology.config)
    scratch = get("temporary-directory", None, config=config) or str(directory)
    most = topology.workers.max_workers
    return {
        "directory": str(directory),
        "terminate": get("distributed.worker.memory.terminate", config=config),
        "all": {
            "environ": node_environment(topology.config),
            "security": secrets(security),
            "scratch": scratch,
            "scheduler_plugins": packed(run.equipment.scheduler),
            "worker_plugins": packed(run.equipment.workers),
        },
        "scheduler": {
            "env": dict(topology.scheduler.env),
            # the bounds between which the one group adapts, if it does
            "adapt": None if most is None else {"minimum": shares["default"].number, "maximum": most},
        },
        "groups": {
            name: {
                "number": share.number,
                "env": dict(topology.groups[name].env),
                "keywords": {
                    "nthreads": share.threads,
                    "memory_limit": share.memory,
                    "resources": dict(topology.groups[name].abstract_resources),
                    "local_directory": topology.groups[name].local_directory or scratch,
                    "death_timeout": DEATH_TIMEOUT,
                },
            }
            for name, share in shares.items()
        },
    }


def packed(plugins: Iterable[object]) -> list[str]:
    """Return Dask plugins as text."""
    return [base64.b64encode(pickle.dumps(plugin)).decode() for plugin in plugins]


def _configured(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return Dask's configuration as nodes have it."""
    import dask.config
    import distributed  # noqa: F401 -- it brings the defaults

    return dask.config.merge(dask.config.config, dask.config.expand_environment_variables(dict(config)))
