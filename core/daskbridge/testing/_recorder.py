"""The kit's plugin in its programs: it hears of every step, and offers two provisioners that misbehave."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daskbridge.plugins import hookimpl, plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daskbridge.plugins import Provisioner, Run
    from daskbridge.topology import Dask

#: The plugin's name, and the variable that names the provisioner behind the two below.
NAME, TARGET = "daskbridge-testing", "DASKBRIDGE_TESTING_TARGET"
#: They delegate to it: one raises when its cluster has closed, the other never gets its cluster ready.
RUDE, STUCK = f"{NAME}-rude", f"{NAME}-stuck"
#: What the rude one says.
TEAR_DOWN = "the tear-down went wrong, says the conformance kit"


@dataclass(frozen=True)
class Heard:
    """Keep what a step told, and when."""

    at: float
    step: str
    state: str
    detail: str
    run: Run


#: All that was told in this process, in order; and who else is told, on the core's loop thread.
HEARD: list[Heard] = []
LISTENERS: list[Callable[[Heard], object]] = []


@hookimpl
def daskbridge_step(step: str, state: str, detail: str, run: Run) -> None:
    """Keep the step and tell the listeners."""
    HEARD.append(Heard(time.monotonic(), step, state, detail, run))
    for listener in tuple(LISTENERS):
        listener(HEARD[-1])


@hookimpl
def daskbridge_provisioners() -> list[Provisioner]:
    """Offer the two that misbehave."""
    return [Delegate(RUDE), Delegate(STUCK)]


class Delegate:
    """Do what the target does, and one thing otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def target(self) -> Provisioner:
        """Return the provisioner that does the work."""
        return plugins().provisioner(os.environ.get(TARGET, "local"))

    @property
    def capabilities(self) -> frozenset[str]:
        return self.target.capabilities

    @property
    def adapts(self) -> Mapping[str, str]:
        return self.target.adapts

    def validate(self, topology: Dask) -> None:
        """Let the target validate."""
        self.target.validate(topology)

    async def provision(self, topology: Dask, run: Run) -> Any:  # noqa: ANN401 -- a handle of any kind
        """Start what the target starts."""
        handle = await self.target.provision(topology, run)
        if self.name == RUDE:
            return Rude(handle)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(handle.close("it never got ready"))

    async def attach(self, ref: Any) -> Any:  # noqa: ANN401 -- as the target's
        """Attach as the target does."""
        return await self.target.attach(ref)


class Rude:
    """Close as the handle does, then raise."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401 -- a handle of any kind
        self._handle = handle

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the handle has
        return getattr(self._handle, name)

    async def close(self, reason: str = "") -> None:
        """End the cluster, then fail."""
        await self._handle.close(reason)
        raise RuntimeError(TEAR_DOWN)
