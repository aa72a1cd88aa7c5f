"""The core's own connection to a cluster: check, equip and watch it, apart from the user's client."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._logs import LogReceiver
from daskbridge.errors import ProvisioningError
from daskbridge.runtime._arrivals import Arrivals
from daskbridge.runtime._delivery import deliver, take_back
from daskbridge.runtime._environment import Environment
from daskbridge.runtime._explain import MEMORY_TOPIC, killed, missing_module, unpicklable
from daskbridge.runtime._strays import own
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed import NannyPlugin, SchedulerPlugin, WorkerPlugin

    from daskbridge.cluster import ClusterHandle, ClusterRef
    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.plugins import ClusterPlugin, Run

#: Seconds beyond the bound of a connection in which Dask may say what was wrong.
PATIENCE = 1.0


class Connection:
    """Talk to one cluster for the core, on the core's loop; what it registers it takes back."""

    client: Any  # a Client; its types describe the synchronous and the asynchronous face at once

    def __init__(self, handle: ClusterHandle, run: Run) -> None:
        self.handle = handle
        self.run = run
        self.logs = LogReceiver()
        self.arrivals = Arrivals(self)
        self.environment = Environment(self)
        self.code: CodeBundle | InstalledCode | None = None
        #: Set when the scheduler is gone or another one: there is nothing to fetch and to take back.
        self.lost = False
        #: Set when somebody asked the scheduler to end, as ``Client.shutdown()`` does.
        self.ended = False
        #: Called then, to close what would try to reconnect.
        self.on_end: Callable[[], None] | None = None
        self._alive = f"daskbridge_alive_{run.id}"
        self._registered: list[Callable[[], Awaitable[Any]]] = []

    async def open(self, timeout: float) -> None:
        """Connect. Raises ProvisioningError with the address and what to look at."""
        from daskbridge.runtime._client import RunClient

        address = self.handle.ref.scheduler_address
        client: Any = None
        try:
            client = RunClient(
                address,
                asynchronous=True,
                set_as_default=False,
                name="daskbridge",
                timeout=timeout,
                security=self.handle.security,
            )
            own(client)
            # Dask's own bound comes first; a peer that accepts and is no scheduler knows none
            async with asyncio.timeout(timeout + PATIENCE):
                self.client = await client
        except (OSError, ValueError, TimeoutError) as error:
            if client is not None:
                await client.close()
            failure = await self.handle.failure()
            why = str(error) or "what listens there does not speak Dask's protocol"
            msg = f"no scheduler answered at {address} within {timeout:.0f} s: {why}" + (
                f"\n{failure}" if failure else ""
            )
            hint = "check that it runs, that this machine may reach it, and that both or neither use TLS"
            raise ProvisioningError(msg, hint=hint) from error

    async def describe(self) -> ClusterRef:
        """Return the reference with the dashboard's link, or without where the scheduler lacks bokeh."""
        versions = await self.client.scheduler.versions(packages=["bokeh"])
        has_bokeh = versions["packages"].get("bokeh")
        return replace(self.handle.ref, dashboard_link=self.client.dashboard_link if has_bokeh else None)

    async def compare(self, policy: str, code: CodeBundle | InstalledCode | None) -> str:
        """Guard the cluster against late workers that differ, and compare those who are there.

        Returns what was compared, in words. Raises EnvironmentMismatch where the policy says so.
        """
        from daskbridge.cluster._versions import mine
        from daskbridge.node.guard import TOPIC, RunGuard

        versions = mine()
        self.client.subscribe_topic(TOPIC, self.arrivals.event)
        guard = RunGuard(
            versions=versions, policy=policy, exclusive=self.handle.ref.exclusive, alive=self._alive
        )
        # first: who joins while the others are asked is compared there
        await self._register(guard, f"{guard.name}-{self.run.id}")
        if policy != "ignore" and not getattr(self.handle, "same_environment", False):
            await self.environment.compare(versions, policy, code)
        return f"python {versions['python']}, dask {versions['dask']}"

    async def equip(self, plugins: list[ClusterPlugin]) -> None:
        """Register log forwarding, where the cluster is ours alone, and the plugins of plugins."""
        if self.handle.ref.exclusive and setting("forward-logs"):
            await self.logs.start(self.client)
        for item in plugins:
            await self._register(item.plugin, item.name)

    async def sync(self, code: CodeBundle | InstalledCode) -> str:
        """Bring the code to the scheduler and to every worker, or compare what is there.

        Returns what was done, in words. Raises BundleError or EnvironmentMismatch.
        """
        done = await deliver(self.client, code, exclusive=self.handle.ref.exclusive)
        self.code = code
        return done

    def asked_to_end(self) -> None:
        """Take the scheduler's end as meant."""
        self.ended = True
        if self.on_end is not None:
            self.on_end()
        self._ending = asyncio.ensure_future(self.client.close())

    @property
    def running(self) -> bool:
        """Tell whether the connection stands, as far as this process knows."""
        return bool(self.client.status == "running")

    @property
    def replaced(self) -> bool:
        """Tell whether another scheduler is known to have taken this one's place."""
        return bool(self.client.replaced)

    async def alive(self) -> bool:
        """Ask whether this is still the scheduler that we equipped. Raises OSError if none answers."""
        reply = await getattr(self.client.scheduler, self._alive)()
        return reply is True

    async def explain(self, error: BaseException) -> None:
        """Add notes to a user's error: what only the cluster knows of its cause."""
        for note in (missing_module(error, self.code), unpicklable(error)):
            if note is not None:
                error.add_note(note)
        topics = ("all", MEMORY_TOPIC)
        events = {topic: await self.client.get_events(topic) for topic in topics}
        story = killed(error, events, self.arrivals.names, self.logs.last)
        if story is not None:
            error.add_note(story)

    async def close(self) -> None:
        """Fetch the last lines, take back what a shared cluster should not keep, disconnect."""
        try:
            await self.environment.close()
            if self.lost or self.ended or not self.running:
                return
            if not self.handle.ref.exclusive:
                await self._take_back()
            elif setting("forward-logs"):
                await self.logs.finish(self.client, self.arrivals.names)
        finally:
            await self.client.close()

    async def _register(self, plugin: SchedulerPlugin | WorkerPlugin | NannyPlugin, name: str) -> None:
        from distributed import NannyPlugin, SchedulerPlugin

        if isinstance(plugin, SchedulerPlugin):
            unregister = partial(self.client.unregister_scheduler_plugin, name)
        else:
            nanny = isinstance(plugin, NannyPlugin)
            unregister = partial(self.client.unregister_worker_plugin, name, nanny=nanny)
        self._registered.append(unregister)
        await self.client.register_plugin(plugin, name=name)

    async def _take_back(self) -> None:
        if self.code is not None:
            await take_back(self.client, self.code)
        await getattr(self.client.scheduler, self._alive)(leave=True)
        for unregister in reversed(self._registered):
            with suppress(ValueError):  # not there: somebody took it away already
                await unregister()
