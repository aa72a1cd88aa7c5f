"""A worker that starts with its plugins, and that says why it ended."""

from __future__ import annotations

from typing import Any

from distributed import Worker

#: Seconds that a worker's threads and connections get to end in order.
GRACE = 1.0


class LocalWorker(Worker):
    """Be a worker without a nanny: the supervising process does what a nanny would."""

    #: Why it was closed; empty while it runs.
    reason = ""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 -- those of Dask's worker
        super().__init__(*arguments, **keywords)
        self._equipped = {plugin.name for plugin in keywords["plugins"]}

    async def plugin_add(self, plugin: Any, name: str | None = None, catch_errors: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002 -- as inherited
        """Set up a plugin, unless it is one of those with which this worker has started.

        The scheduler sends these to every newcomer: one from elsewhere has them from there only.
        """
        if name in self._equipped:  # as the scheduler's answer to its registration, and only there
            self._equipped.remove(name)
            return {"status": "OK"}
        return await super().plugin_add(plugin=plugin, name=name, catch_errors=catch_errors)

    async def close(  # type: ignore[no-untyped-def, override]  # noqa: ANN201 -- as inherited
        self,
        timeout: float = 30,
        executor_wait: bool = True,  # noqa: ARG002, FBT001, FBT002 -- as inherited
        nanny: bool = True,  # noqa: FBT001, FBT002 -- as inherited
        reason: str = "worker-close",
    ):
        """Close the worker, and keep the first reason; a task that runs on is not waited for.

        Who removes a worker has given its tasks to others, and ``Client.restart()`` waits for it to be back.
        """
        self.reason = self.reason or reason
        return await super().close(min(timeout, GRACE), executor_wait=False, nanny=nanny, reason=self.reason)
