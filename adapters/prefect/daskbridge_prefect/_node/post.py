"""Hear what Prefect would send to its API from a worker: events and logs go to the flow's process.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from prefect.events import Event, RelatedResource, emit_event
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging import handlers
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from .worker import Outbox

#: Who hears it, in the context of a task run.
post: ContextVar[Post | None] = ContextVar("daskbridge_prefect_post", default=None)


class Post:
    """Stand for Prefect's senders of events and logs: what a task run says goes to the flow's process.

    There it is sent on in order, by one that is not lost with a worker.
    """

    client_type = PrefectEventsClient

    def __init__(self, run: str, outbox: Outbox | None) -> None:
        self._resource = f"prefect.task-run.{run}"
        self._outbox = outbox
        #: How much came, for whoever asks whether anything does.
        self.came = 0

    def send(self, item: Any) -> None:  # noqa: ANN401 -- an event or a log
        """Take what Prefect would send to its API."""
        self.came += 1
        if self._outbox is None:
            return
        if not isinstance(item, Event):
            self._outbox.put("log", item)
            return
        if not item.event.startswith("prefect.task-run."):
            self._relate(item)
        self._outbox.put("event", item)

    def wait_until_empty(self) -> None:
        """Return at once: what was put is on its way."""

    def _relate(self, event: Event) -> None:
        if self._resource not in {resource.id for resource in event.involved_resources}:
            about = {"prefect.resource.id": self._resource, "prefect.resource.role": "task-run"}
            event.related.append(RelatedResource.model_validate(about))


@cache
def _stand_between() -> None:
    """Let Prefect find a task run's own :class:`Post` in its context, once in a process."""
    for service in (EventsWorker, APILogWorker):
        service.instance = staticmethod(partial(_post_or, service.instance))  # type: ignore[method-assign]
    for name in ("", "prefect", "prefect.task_runs", "prefect.flow_runs"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, handlers.PrefectConsoleHandler):
                handler.addFilter(_said_here)


def _said_here(record: logging.LogRecord) -> bool:
    """Tell whether a worker's console shows a record: not if the flow's will."""
    sent = getattr(record, "send_to_api", True) and get_current_settings().logging.to_api.enabled
    return post.get() is None or not sent or not record.name.startswith(("prefect.task", "prefect.flow"))


def _post_or(instance: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 -- a sender
    return post.get() or instance(*arguments, **keywords)


def listening() -> bool:
    """Tell whether what Prefect sends in this context can be heard, by sending something."""
    _stand_between()
    probe = Post("", None)
    token = post.set(probe)
    try:
        emit_event("daskbridge.probe", resource={"prefect.resource.id": "daskbridge.probe"})
        getattr(handlers, "emit_api_log", lambda log: APILogWorker.instance().send(log))({})
    finally:
        post.reset(token)
    return probe.came == 2  # noqa: PLR2004 -- both
