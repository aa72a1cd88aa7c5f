"""The task that Flyte makes of a function whose environment has a Dask topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flyte
from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry

from daskbridge import Dask, on_dask
from daskbridge.settings import setting
from daskbridge_flyte._backend import FlyteBackend
from daskbridge_flyte._environment import refuse_new_config, with_config, without_config
from daskbridge_flyte._errors import translated, worded
from daskbridge_flyte._images import image_of
from daskbridge_flyte._job import dask_job

if TYPE_CHECKING:
    from flyte.models import SerializationContext


@dataclass(kw_only=True)
class DaskTask(AsyncFunctionTaskTemplate[..., Any, Any]):
    """Run a Flyte task's body with a Dask cluster, gone when the body ends.

    Made by ``@env.task`` of an environment with ``plugin_config=Dask(...)``. In Flyte's backend the
    cluster is the one that the backend starts beside the task's pod; in a local run it is
    daskbridge's ``local``, or what the setting ``daskbridge.provisioner`` names. In the body a bare
    ``Client()`` and ``distributed.get_client()`` reach it, and ``flyte.ctx().data["dask_client"]`` is
    a client, too; each blocks, in ``async`` tasks as well.

    A topology that the backend can't serve raises a :class:`~daskbridge.errors.DaskbridgeError` when
    the task is defined. At run time failures of starting are Flyte system errors, which the backend
    retries; wrong configurations are not recoverable; errors of the body stay what they are.

    >>> from daskbridge_flyte import Dask, WorkerGroup
    >>> env = flyte.TaskEnvironment("squares", plugin_config=Dask(workers=WorkerGroup(2)))
    >>> @env.task
    ... def square(n: int) -> int:
    ...     from distributed import get_client
    ...     return get_client().submit(pow, n, 2).result()
    >>> type(square).__name__, square.task_type
    ('DaskTask', 'dask')
    """

    plugin_config: Dask
    task_type: str = "dask"

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        topology: object = self.plugin_config
        if not isinstance(topology, Dask):
            # override(plugin_config=...) of another plugin: Flyte makes that one's task of this one
            self.env_vars = without_config(self.env_vars)
            return
        with worded():
            FlyteBackend().check(topology)
            self.env_vars = with_config(self.env_vars, topology)

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        """Return the DaskJob by which the backend starts the cluster; runs where the task is deployed."""
        with worded():
            topology = FlyteBackend().adjusted(self.plugin_config)
            refuse_new_config(self.plugin_config, topology)
            return dask_job(topology, lambda image: image_of(image, self, sctx))

    async def pre(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002 -- the task's own
        """Return what the body finds in ``flyte.ctx().data``: the client, once the cluster is open."""
        from distributed import Client

        try:
            return {"dask_client": Client.current(allow_global=False)}
        except ValueError:  # called by hand: there is no cluster
            return {}

    async def execute(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- the task's own
        """Open the cluster, run ``pre``, the body and ``post``, and close the cluster whatever happens."""
        execute = super().execute

        async def body() -> Any:  # noqa: ANN401 -- the task's own
            return await execute(*args, **kwargs)

        body.__module__ = self.func.__module__  # which nodes must be able to import
        with translated():  # of what comes later the orchestrator's ``around`` does
            # a local run is meant to be local, in a pod of Kubernetes, too
            provisioner = FlyteBackend() if flyte.ctx().is_in_cluster() else setting("provisioner") or "local"
            on_cluster = on_dask(
                self.plugin_config, provisioner=provisioner, name=self.name, asynchronous=False
            )
        return await on_cluster(body)()


TaskPluginRegistry.register(Dask, DaskTask)
