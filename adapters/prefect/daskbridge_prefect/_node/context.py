"""Prefect's context of a flow run: packed once in the flow's process, entered by every task on a worker.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import copy
import pickle
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import cloudpickle
from prefect.client.orchestration import get_client
from prefect.context import (
    AssetContext,
    FlowRunContext,
    SettingsContext,
    SyncClientContext,
    TagsContext,
    TaskRunContext,
    hydrated_context,
    serialize_context,
)
from prefect.events.worker import EventsWorker
from prefect.logging.configuration import ensure_logging_setup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect import Flow, Task

#: What differs from task to task; the rest is the flow run's.
OWN = ("task_run_context", "tags_context", "asset_context")


def pack_flow(runner: Any) -> bytes:  # noqa: ANN401 -- the runner that stands for ours on nodes
    """Pickle what all tasks of this flow run have in common; costs tens of milliseconds."""
    context = {name: part for name, part in serialize_context().items() if name not in OWN}
    flow_run = context.get("flow_run_context")
    if flow_run and flow_run.get("flow") is not None:
        context["flow_run_context"] = {**flow_run, "flow": _bare(flow_run["flow"], runner)}
    settings = context.get("settings_context", {}).get("settings")
    if isinstance(settings, dict) and not (settings.get("api") or {}).get("url"):
        # Prefect's temporary server: a worker would start one of its own
        url = str(get_client(sync_client=True).api_url)
        settings["api"] = {**(settings.get("api") or {}), "url": url}
    packed: bytes = cloudpickle.dumps(context)
    return packed


def _bare(flow: Flow[..., Any], runner: Any) -> Flow[..., Any]:  # noqa: ANN401 -- as above
    """Return a flow without its function and hooks, which may refer to what nodes don't have.

    Tasks need what is around them: names, how results are stored, whether prints are logged.
    """
    bare = copy.copy(flow)
    bare.fn = vars(bare)["__wrapped__"] = _not_here
    for name in vars(bare):
        if name.endswith("_hooks"):
            setattr(bare, name, [])
    bare.task_runner = runner  # ours holds a cluster, and nodes need not have this package
    return bare


def _not_here(*_: object, **__: object) -> None:
    msg = "a task's context has its flow without the function: import the flow to call it"
    raise RuntimeError(msg)


def own_context(task: Task[..., Any], run: UUID, inputs: dict[str, set[Any]]) -> dict[str, Any]:
    """Return what a task run has of its own in the context in which it is submitted."""
    parent, tags, flow_run = TaskRunContext.get(), TagsContext.get(), FlowRunContext.get()
    own = {
        "task_run_context": parent.serialize() if parent else {},
        "tags_context": tags.serialize() if tags.current_tags else {},
        "asset_context": {},
    }
    tracked = bool(flow_run and flow_run.task_run_assets)
    if tracked or task.asset_deps or getattr(task, "assets", None):
        assets = AssetContext.from_task_and_inputs(
            task=task, task_run_id=run, task_inputs=inputs, copy_to_child_ctx=True
        )
        own["asset_context"] = assets.serialize()
    return own


class FlowOnWorker:
    """Hold one flow run's context in a worker process: settings, a client and the flow run are made once.

    Prefect makes them anew for every task, which is nine tenths of what a small task costs.
    """

    def __init__(self, blob: bytes) -> None:
        self.packed: dict[str, Any] = pickle.loads(blob)  # noqa: S301 -- the flow's own process made it
        self._settings: SettingsContext | None = None
        self._client: SyncClientContext | None = None
        self._flow_run: FlowRunContext | None = None
        #: Whether what tasks say can be passed on in the flow's process.
        self.heard = False
        self._closing = ExitStack()
        ensure_logging_setup()

    def prepare(self) -> None:
        """Make what is shared, in a context of its own.

        Raises whatever a version of Prefect says for which this doesn't work.
        """
        with hydrated_context():
            pass  # Prefect completes its models there
        rest = self.packed
        settings = SettingsContext(**rest["settings_context"])
        with settings.model_copy():
            client = SyncClientContext()
            with ExitStack() as opened:
                opened.enter_context(client)
                if packed := rest.get("flow_run_context"):
                    runner = packed["flow"].task_runner.duplicate()
                    self._closing.enter_context(runner)
                    self._flow_run = FlowRunContext(
                        **packed, client=client.client, task_runner=runner, detached=True
                    )
                opened.pop_all()  # it stays open; that it is current ends with this context
        self._client, self._settings = client, settings

    @contextmanager
    def entered(self, own: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Be in the flow run's context; yields what Prefect's engine has to add to it."""
        if self._settings is None or self._client is None:
            yield {**self.packed, **own}
            return
        with ExitStack() as stack:
            stack.enter_context(self._settings.model_copy())
            token = SyncClientContext.__var__.set(self._client)
            stack.callback(SyncClientContext.__var__.reset, token)
            if self._flow_run is not None:
                fresh: dict[str, Any] = {
                    "task_run_dynamic_keys": {},
                    "run_results": {},
                    "task_run_assets": {},
                }
                stack.enter_context(self._flow_run.model_copy(update=fresh))
            light = {name: self.packed.get(name) for name in ("deployment_id", "deployment_parameters")}
            yield {**light, **own}

    def flush(self) -> None:
        """Wait until Prefect's API has the events of this process: they would be lost with it."""
        with hydrated_context({"settings_context": self.packed["settings_context"]}):
            EventsWorker.instance().wait_until_empty()

    def close(self) -> None:
        """Close the client; called when the worker or the flow run ends."""
        self._closing.close()
        if self._client is not None:
            self._client.client.__exit__(None, None, None)
            self._client = self._settings = None
