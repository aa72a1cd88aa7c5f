"""The shared clusters of this process: each started once, and counted by the blocks that use it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from daskbridge.errors import CodeNotDelivered, DaskbridgeError
from daskbridge.runtime._engine import LOOK, Engine
from daskbridge.runtime._flow import Hold
from daskbridge.runtime._watch import ASK

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.runtime._scope import Share

#: Those that a block may join, or whose end it waits for. Touched on the core's loop only.
_open: dict[Share, SharedCluster] = {}


async def enter(
    share: Share, block: str, code: CodeBundle | InstalledCode | None, tell: Callable[[str], None]
) -> SharedCluster:
    """Count ``block`` in on the cluster of that share, which the first one in starts; wait until it runs.

    Raises what the start failed with, or CodeNotDelivered if blocks use it with other code.
    """
    while True:
        cluster = _open.get(share)
        if cluster is None or cluster.loop is not asyncio.get_running_loop():  # that did not end in time
            cluster = _open[share] = SharedCluster(share)
        if cluster.ending is not None:
            tell("the end of the cluster before")
            await asyncio.wait({cluster.ending})
            continue
        cluster.admit(block, code)
        try:
            tell(f"the cluster of {share}")
            if await cluster.runs():
                return cluster
        except BaseException:
            await cluster.leave(block)
            raise
        await cluster.leave(block)


class SharedCluster:
    """Hold one cluster for many blocks, on the core's loop: an engine without a body, and who uses it."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self.loop = asyncio.get_running_loop()
        self.engine = Engine(share.options)
        self.engine.run.shared = True
        #: Who uses it, each with the code that its nodes get.
        self.blocks: dict[str, tuple[str, ...] | None] = {}
        #: Set once the last block is out.
        self.ending: asyncio.Task[None] | None = None
        self._lost = self._shut = self._given_up = False
        self._hold = Hold(share.open) if share.open is not None else None
        self._opening = asyncio.ensure_future(self._start())

    def admit(self, block: str, code: CodeBundle | InstalledCode | None) -> None:
        """Count a block in. Raises CodeNotDelivered if others use the cluster with other code."""
        from daskbridge.code import CodeBundle

        mine = (code.digest, *code.sys_path) if isinstance(code, CodeBundle) else None
        for others in self.blocks.values():
            if mine and others and mine != others:
                msg = (
                    f"the nodes of the cluster that the blocks of {self.share} share have the code"
                    f" {others[0][:12]}, so {mine[0][:12]} can't be put beside it"
                )
                hint = "give these blocks the same code=, let them follow each other, or use scope='task'"
                raise CodeNotDelivered(msg, hint=hint)
        self.blocks[block] = mine

    async def runs(self) -> bool:
        """Wait for the start, and tell whether the cluster is well. Raises what the start failed with."""
        await asyncio.wait({self._opening})
        try:
            self._opening.result()
        except DaskbridgeError as error:
            raise _own(error) from error.__cause__
        well = await self._answers()
        if not well:
            self._give_up()
        return well

    async def failure(self) -> str | None:
        """Say what ended, or None while nothing is known to be wrong."""
        if self._shut:
            return "somebody shut its scheduler down"
        return await self.engine.handle.failure()

    @property
    def held(self) -> bool:
        """Tell whether a flow run holds it, which may bring more blocks."""
        return self._hold is not None and not self._given_up and self._hold.lasts

    async def leave(self, block: str) -> None:
        """Count a block out; the last one ends the cluster, and waits for that end.

        Unless a flow run holds it, which may bring more.
        """
        self.blocks.pop(block, None)
        if self.blocks:
            return
        if self._hold is not None and self.held:
            self._hold.begin(wanted=lambda: not self._given_up, release=self._released)
            return
        if self.ending is None:
            self.ending = asyncio.ensure_future(self._end())
        await asyncio.shield(self.ending)

    async def _released(self) -> None:
        """End it, unless somebody is still in, who will."""
        if not self.blocks:
            await self.leave("")

    async def _answers(self) -> bool:
        """Ask the scheduler; one that can't be reached is waited for, until the cluster's watch decides."""
        connection = self.engine.connection
        while not self._lost and await self.failure() is None:
            try:
                return await asyncio.wait_for(connection.alive(), ASK)
            except OSError as error:
                if isinstance(error, TimeoutError) and connection.running:
                    return True  # it is only busy
            await asyncio.sleep(LOOK)
        return False

    async def _start(self) -> None:
        try:
            await self.engine.open()
            await self.engine.started(self._is_lost, self._is_shut)
        except BaseException:
            self._give_up()
            raise

    async def _end(self) -> None:
        try:
            await self.engine.close("the last block left")
        finally:
            await asyncio.wait({self._opening})
            if not self._opening.cancelled():
                self._opening.exception()  # those who waited have it, if there were any
            await self.engine.ended(None)
            self._give_up()

    def _is_lost(self) -> None:
        self._lost = self.engine.connection.lost = True
        self._give_up()

    def _is_shut(self) -> tuple[()]:
        if self.ending is None:
            self._shut = True
            self._give_up()
        return ()

    def _give_up(self) -> None:
        """Let the next block start a new cluster."""
        self._given_up = True
        if _open.get(self.share) is self:
            del _open[self.share]


def _own(error: DaskbridgeError) -> DaskbridgeError:
    """Return an error like ``error`` for one block: each has notes and a traceback of its own."""
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    own.__notes__ = list(getattr(error, "__notes__", ()))
    return own


os.register_at_fork(after_in_child=_open.clear)
