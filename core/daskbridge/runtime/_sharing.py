"""A block's run on a shared cluster: it attaches to what another run holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from daskbridge.errors import BundleError
from daskbridge.runtime._connection import Connection
from daskbridge.runtime._delivery import deliver, take_back
from daskbridge.runtime._engine import Engine
from daskbridge.runtime._shared import SharedCluster, enter
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daskbridge.cluster import ClusterHandle, ClusterRef
    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.plugins import ClusterPlugin, Run
    from daskbridge.runtime._check import Checked
    from daskbridge.runtime._options import Options


def engine_for(options: Options) -> Engine:
    """Return what drives one run: on a cluster of its own, or on a shared one."""
    return Engine(options) if options.scope == "task" else SharingEngine(options)


class SharingEngine(Engine):
    """Drive one run on a shared cluster; closing it leaves the cluster to those who are still in."""

    shares = True
    _cluster: SharedCluster

    async def _provision(self, checked: Checked) -> ClusterHandle:
        assert checked.share is not None
        self._bound.reschedule(None)  # the start that is waited for has a bound, and says what it waits for
        self._cluster = await enter(checked.share, self.run.id, checked.code, self.run.tell)
        # what the provisioner may have changed
        self.run.topology = self._cluster.engine.run.topology
        self.run.hint = self._cluster.engine.run.hint
        self._bound.reschedule(asyncio.get_running_loop().time() + self.run.topology.start_timeout)
        return SharedHandle(self._cluster, self.run.id)

    async def exchange(self, old: CodeBundle, new: CodeBundle, mine: set[str], timeout: float) -> int:
        """Replace the workers' code, unless other blocks use it. Raises BundleError then."""
        from daskbridge.code._limits import refuse_directory

        refuse_directory(new)
        blocks, host = self._cluster.blocks, self._cluster.engine.connection
        others = len(blocks) - 1
        if others:
            who = f"{others} other block(s) use this cluster"
            msg = f"new code needs new workers, and {who}: nothing was changed"
            raise BundleError(msg, hint="leave these blocks first, or use scope='task'")
        before = blocks[self.run.id]
        blocks[self.run.id] = (new.digest, *new.sys_path)  # who comes meanwhile with other code is refused
        try:
            number = await super().exchange(old, new, {*mine, host.client.id}, timeout)
        except BaseException:
            blocks[self.run.id] = before
            raise
        host.code = new if host.code is not None else None
        return number

    def _connection(self) -> Connection:
        return SharedConnection(self.handle, self.run, self._cluster.engine.connection)


class SharedHandle:
    """Hold a shared cluster for one block: all but the end goes to the cluster's own handle."""

    def __init__(self, cluster: SharedCluster, block: str) -> None:
        self._cluster = cluster
        self._block = block
        self._handle = cluster.engine.handle
        assert cluster.engine.run.ref is not None
        owner = f"the last block of {cluster.share} that uses it"
        self.ref = replace(cluster.engine.run.ref, exclusive=False, owner=owner)
        others = len(cluster.blocks) - 1
        for optional in ("renew", "recall"):
            if hasattr(self._handle, optional):
                setattr(self, optional, getattr(self._handle, optional))
        self.notes = (
            f"one cluster for {cluster.share}; other blocks on it: {others}",
            *self._handle.notes,
        )

    @property
    def security(self) -> object | None:
        """Return what a client needs to connect."""
        return self._handle.security

    async def scale(self, group: str, number: int) -> None:
        """Bring a worker group to ``number`` workers, for all blocks."""
        await self._handle.scale(group, number)

    async def failure(self) -> str | None:
        """Say what ended, or None while nothing is known to be wrong."""
        return await self._cluster.failure()

    async def logs(self) -> Mapping[str, str]:
        """Return the last lines of each process's output, whichever block they are of."""
        return await self._handle.logs()

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """Leave the cluster; the last block waits for its end."""
        await self._cluster.leave(self._block)

    def request_close(self) -> None:
        """Ask for the end, unless others use the cluster or may come."""
        if not self._cluster.blocks.keys() - {self._block} and not self._cluster.held:
            self._handle.request_close()


class SharedConnection(Connection):
    """Connect one block to a cluster that ``host``, the shared cluster's own connection, has equipped."""

    def __init__(self, handle: ClusterHandle, run: Run, host: Connection) -> None:
        super().__init__(handle, run)
        self._host = host
        self.logs = host.logs
        self.arrivals.names = host.arrivals.names
        self.arrivals.warn = self.environment.log = _told_already
        self._alive = host._alive  # noqa: SLF001 -- the same question, from another client

    @property
    def exclusive(self) -> bool:
        """Tell whether the cluster was made for this process alone."""
        return self._host.exclusive

    async def describe(self) -> ClusterRef:
        """Return the reference; the host has asked for the dashboard."""
        return self.handle.ref

    async def compare(self, policy: str, code: CodeBundle | InstalledCode | None) -> str:  # noqa: ARG002 -- the host went by it
        """Listen to who joins; the host compares all nodes with this very process."""
        from daskbridge.node.guard import TOPIC

        self.client.subscribe_topic(TOPIC, self.arrivals.event)
        return "compared when the cluster started"

    async def equip(self, plugins: list[ClusterPlugin]) -> None:
        """Register nothing: the host has."""

    async def sync(self, code: CodeBundle | InstalledCode, tell: Callable[[str], None]) -> str:
        """Bring the code, as to a cluster of one's own: a worker that can't get it has to go."""
        done = await deliver(self.client, code, exclusive=self.exclusive, tell=tell)
        self.code = code
        return done

    def asked_to_end(self) -> None:
        """Leave it to the watch: the end that somebody asked for is a loss for all others."""

    async def _take_back(self) -> None:
        if self.code is not None:
            await take_back(self.client, self.code)
        if self._host.handle.ref.exclusive and setting("forward-logs") and self._host.running:
            await self.logs.finish(self._host.client, self.arrivals.names)


def _told_already(*_: object) -> None:
    """Leave a warning to the host."""
