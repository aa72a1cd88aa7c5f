"""The environment of local nodes: the driver's, without what leads to its code and to other clusters."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from daskbridge._environ import environment
from daskbridge.settings import is_configured

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What nodes do not get of the driver's environment: its code, and the way to other clusters.
WITHHELD = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONSAFEPATH",
    "DASK_SCHEDULER_ADDRESS",
    "DASK_INTERNAL_INHERIT_CONFIG",
    "DASK_PARENT_INTERNAL",
)
#: Seconds after which a task that no worker can run fails.
NO_WORKERS_TIMEOUT = 600


def node_environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a clean node: the driver's without :data:`WITHHELD`, plus ``config``.

    A task that no worker can run fails in the end, unless ``config`` or the user's own says otherwise.
    """
    environ = {key: value for key, value in environment().items() if key not in WITHHELD}
    bound = {"distributed": {"scheduler": {"no-workers-timeout": NO_WORKERS_TIMEOUT}}}
    if config or is_configured():
        import dask.config

        if dask.config.get("distributed.scheduler.no-workers-timeout", None) is None:
            config = dask.config.merge(bound, config)
    else:
        config = bound
    if config:
        # as dask.config.serialize() does, which would import Dask
        inherited = base64.urlsafe_b64encode(json.dumps(dict(config)).encode()).decode()
        environ["DASK_INTERNAL_INHERIT_CONFIG"] = inherited
    return environ
