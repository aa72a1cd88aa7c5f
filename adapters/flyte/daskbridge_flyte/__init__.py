"""Dask clusters for Flyte tasks: ``plugin_config=Dask(...)`` on a ``flyte.TaskEnvironment``.

The classes are daskbridge's own. Importing this package anywhere before a task is defined makes
Flyte know them: Flyte has a registry and no entry points for tasks.
"""

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge_flyte._task import DaskTask

__all__ = ["Dask", "DaskTask", "Resources", "Scheduler", "WorkerGroup"]
