"""A thread's own event loop for async tasks, on which Prefect's client stays open.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

from prefect.context import AsyncClientContext

if TYPE_CHECKING:
    from collections.abc import Coroutine

_own = threading.local()


def run_on_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- the coroutine's
    """Run to the end on a loop that this thread keeps, with a client of Prefect's that stays open."""
    runner: asyncio.Runner | None = getattr(_own, "runner", None)
    if runner is None:
        runner = _own.runner = asyncio.Runner()

    async def run() -> Any:  # noqa: ANN401 -- the coroutine's
        client = getattr(_own, "client", None)
        if client is None:
            client = AsyncClientContext()
            await client.__aenter__()
            _own.client = client
        token = AsyncClientContext.__var__.set(client)
        try:
            return await coroutine
        finally:
            AsyncClientContext.__var__.reset(token)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for each in left:  # as asyncio.run() does
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    return runner.run(run(), context=contextvars.copy_context())
