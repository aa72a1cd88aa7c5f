"""Dask's dashboard, loaded when somebody first looks: bokeh costs more than the rest of a scheduler."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tornado import web

if TYPE_CHECKING:
    from distributed import Scheduler


def is_there() -> bool:
    """Tell whether bokeh is installed, without importing it."""
    return find_spec("bokeh") is not None


class DashboardLater:
    """Answer the first request for a page of the dashboard by loading it; on the scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._loading: asyncio.Task[None] | None = None
        self._application = web.Application([(r".*", _FirstVisit, {"later": self})])
        scheduler.http_application.add_application(self._application)

    async def load(self) -> None:
        """Put the dashboard in the place of this; the import runs in a thread, and tasks go on."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        dashboard = await asyncio.to_thread(import_module, "distributed.dashboard.scheduler")
        scheduler = self._scheduler
        scheduler.http_application.applications.remove(self._application)
        dashboard.connect(scheduler.http_application, scheduler.http_server, scheduler)


class _FirstVisit(web.RequestHandler):
    def initialize(self, later: DashboardLater) -> None:
        self._later = later

    async def get(self) -> None:
        await self._later.load()
        self.redirect("/" + (self.request.uri or "").lstrip("/\\"))  # "//name/..." is another site
