"""What one run tells its orchestrator and asks of it while it goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread
from daskbridge.errors import DaskbridgeError
from daskbridge.plugins import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.plugins import Orchestrator, Run, Step

#: Seconds for one call of the orchestrator's; for one on the core's loop, before a warning.
PATIENCE, AT_ONCE = 5.0, 1.0

logger = logging.getLogger("daskbridge")


class Orchestration:
    """Stand between a run and the orchestrator whose task it is in, if there is one; on the core's loop.

    What the orchestrator can't show or say is no failure of the run: it is logged. Calls that may block
    go to a thread, one at a time, in the context of the task. The run of a shared cluster is none of the
    orchestrator's: that hears of each block.
    """

    def __init__(self, run: Run) -> None:
        self.orchestrator: Orchestrator | None = None
        self._run = run
        self._untold: list[Step] = []
        self._telling: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._broken: set[str] = set()
        self._slow = False

    async def detect(self) -> Orchestrator | None:
        """Return the orchestrator whose task this process runs. Raises PluginError if two claim it."""
        self.orchestrator = await in_thread(plugins().orchestrator)
        self._go_on()
        return self.orchestrator

    def cancelled(self) -> bool:
        """Tell whether the orchestrator has told the task to end."""
        if self._told is None or "cancelled" in self._broken:
            return False
        began = time.monotonic()
        try:
            return bool(self._told.cancelled())
        except DaskbridgeError as error:
            self._fails("cancelled", error)
            return False
        finally:
            if (took := time.monotonic() - began) > AT_ONCE and not self._slow:
                self._slow = True
                told = "orchestrator %r: cancelled() took %.1f s; everything waits for it: answer at once"
                logger.warning(told, self._run.orchestrator, took)

    def tell(self, step: Step) -> None:
        """Tell of a step; what was not told of it yet is replaced."""
        self._untold = [each for each in self._untold if each.name != step.name] + [step]
        self._go_on()

    async def ready(self) -> None:
        """Let the orchestrator publish what there is to see."""
        if self._told is not None:
            await self._call("on_ready", self._told.on_ready, self._run)

    async def closed(self) -> None:
        """Let the orchestrator sum the run up, after the last step was told."""
        if self._telling is not None:
            await asyncio.wait({self._telling}, timeout=PATIENCE)
            self._untold.clear()
            await asyncio.wait({self._telling})
        if self._told is not None:
            await self._call("on_close", self._told.on_close, self._run)

    @property
    def _told(self) -> Orchestrator | None:
        return None if self._run.shared else self.orchestrator

    def _go_on(self) -> None:
        if self._told is not None and self._untold and (self._telling is None or self._telling.done()):
            self._telling = asyncio.ensure_future(self._tell(self._told))

    async def _tell(self, orchestrator: Orchestrator) -> None:
        while self._untold:
            await self._call("on_step", orchestrator.on_step, self._untold.pop(0), self._run)

    async def _call(self, name: str, function: Callable[..., None], *given: object) -> None:
        async with self._turn:
            try:
                await asyncio.wait_for(in_thread(lambda: function(*given)), PATIENCE)
            except Exception as error:  # noqa: BLE001 -- as the class says
                self._fails(name, error)

    def _fails(self, name: str, error: Exception) -> None:
        """Log what failed, once for each function."""
        if name not in self._broken:
            self._broken.add(name)
            logger.warning("orchestrator %r: %s failed", self._run.orchestrator, name, exc_info=error)
