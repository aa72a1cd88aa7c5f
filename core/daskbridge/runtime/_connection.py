"""The core's own connection to a cluster: check, equip and watch it, apart from the user's client."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._logs import LogReceiver
from daskbridge.errors import ProvisioningError
from daskbridge.runtime._arrivals import Arrivals
from daskbridge.runtime._delivery import deliver, take_back
from daskbridge.runtime._environment import Environment
from daskbridge.runtime._equipment import alive, forward_logs, guard
from daskbridge.runtime._explain import MEMORY_TOPIC, killed, missing_module, unpicklable
from daskbridge.runtime._lease import Lifetime, heartbeat, lease_of, lease_plugin, owner_of
from daskbridge.runtime._strays import close_quickly, own
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed import NannyPlugin, SchedulerPlugin, WorkerPlugin

    from daskbridge.cluster import ClusterHandle, ClusterRef
    from daskbridge.code import CodeBundle, InstalledCode, Receipt
    from daskbridge.plugins import ClusterPlugin, Run

#: Seconds beyond the bound of a connection in which Dask may say what was wrong.
PATIENCE = 1.0


class Connection:
    """Talk to one cluster for the core, on the core's loop; what it registers it takes back."""

    client: Any  # a Client; its types describe the synchronous and the asynchronous face at once

    def __init__(self, handle: ClusterHandle, run: Run) -> None:
        self.handle = handle
        #: Whether the nodes have been started with all that they need.
        self.equipped: bool = getattr(handle, "equipped", False)
        self.run = run
        self.logs = LogReceiver(run.logger)
        self.arrivals = Arrivals(self)
        self.environment = Environment(self)
        self.code: CodeBundle | InstalledCode | None = None
        self.lease = lease_of(handle.ref, run.topology)
        self.lifetime = Lifetime(self.lease.lifetime)
        #: Set when the scheduler is gone or another one: there is nothing to fetch and to take back.
        self.lost = False
        #: Set when somebody asked the scheduler to end, as ``Client.shutdown()`` does.
        self.ended = False
        #: What the cluster said when it ended itself, in words.
        self.farewell: str | None = None
        #: Called then, to close what would try to reconnect.
        self.on_end: Callable[[], object] | None = None
        self._alive = alive(run)
        self._registered: list[Callable[[], Awaitable[Any]]] = []

    async def open(self, timeout: float) -> None:
        """Connect. Raises ProvisioningError with the address and what to look at."""
        from daskbridge.runtime._client import OwnerClient

        address = self.handle.ref.scheduler_address
        client: Any = None
        try:
            client = OwnerClient(
                address,
                asynchronous=True,
                set_as_default=False,
                name=owner_of(self.run),
                heartbeat=heartbeat(self.lease),
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
        except TypeError as error:
            if client is not None:
                await close_quickly(client, fast=True)
            if not address.startswith("tls://"):
                raise
            msg = f"the scheduler at {address} speaks TLS, and this process has no certificate for it"
            hint = "set Dask's distributed.comm.tls: ca-file, client.cert and client.key"
            raise ProvisioningError(msg, hint=hint) from error
        except asyncio.CancelledError:  # the start is given up: nobody else knows the client
            if client is not None:
                await close_quickly(client, fast=True)
            raise

    async def describe(self) -> ClusterRef:
        """Return the reference with the dashboard's link, or without where the scheduler lacks bokeh."""
        if self.equipped:
            has_bokeh = find_spec("bokeh") is not None
        else:
            versions = await self.client.scheduler.versions(packages=["bokeh"])
            has_bokeh = bool(versions["packages"].get("bokeh"))
        return replace(self.handle.ref, dashboard_link=self.client.dashboard_link if has_bokeh else None)

    async def compare(self, policy: str, code: CodeBundle | InstalledCode | None) -> str:
        """Lease the cluster, guard it against late workers that differ, and compare those who are there.

        Returns what was compared, in words. Raises EnvironmentMismatch where the policy says so.
        """
        from daskbridge.node.guard import TOPIC

        self.client.subscribe_topic(TOPIC, self.arrivals.event)
        if self.equipped:
            python = ".".join(map(str, sys.version_info[:2]))
            return f"python {python}, dask {metadata.version('dask')}, the driver's own"

        if (lease := lease_plugin(self.run, self.lease)) is not None:
            await self._register(lease, lease.name)
        plugin = guard(self.run, exclusive=self.handle.ref.exclusive)
        # first: who joins while the others are asked is compared there
        await self._register(plugin, f"{plugin.name}-{self.run.id}")
        versions = plugin.versions
        if policy != "ignore":
            await self.environment.compare(versions, policy, code)
        return f"python {versions['python']}, dask {versions['dask']}"

    async def equip(self, plugins: list[ClusterPlugin]) -> None:
        """Register log forwarding, where the cluster is ours alone, and the plugins of plugins."""
        if self.handle.ref.exclusive and setting("forward-logs"):
            self.logs.listen(self.client)
            if not self.equipped:
                await self.client.register_plugin(forward_logs(self.run))
        for item in plugins:
            await self._register(item.plugin, item.name)

    async def sync(self, code: CodeBundle | InstalledCode, tell: Callable[[str], None]) -> str:
        """Bring the code to the scheduler and to every worker, or compare what is there.

        ``tell`` is called with what goes on. Returns what was done, in words. Raises BundleError or
        EnvironmentMismatch.
        """
        from daskbridge.code import CodeBundle

        if self.equipped and isinstance(code, CodeBundle):
            done = f"{code.digest[:12]}, with which the nodes start"
        else:
            done = await deliver(self.client, code, exclusive=self.handle.ref.exclusive, tell=tell)
        self.code = code
        return done

    async def exchange(self, old: CodeBundle, new: CodeBundle, mine: set[str], timeout: float) -> int:
        """Put ``new`` in place of the code that was synced; return how many workers are to come back.

        Raises BundleError, with nothing changed, or CodeNotDelivered, which says what is.
        """
        from daskbridge.code import exchange_code

        renew = getattr(self.handle, "renew", None)
        number = await exchange_code(
            self.client,
            old,
            new,
            exclusive=self.exclusive,
            mine=mine,
            local=self.equipped,
            renew=renew and partial(renew, self.run.equipment),
            tell=self.run.tell,
            timeout=timeout,
        )
        self.code = new
        return number

    async def returned(self, number: int, say: Callable[[str], None], timeout: float) -> tuple[Receipt, ...]:
        """Wait for the workers of an exchange; return the receipts. Raises CodeNotDelivered."""
        from daskbridge.code import returned

        recall = getattr(self.handle, "recall", None)
        return await returned(
            self.client, number, failure=self.failure, recall=recall, say=say, timeout=timeout
        )

    @property
    def digest(self) -> str | None:
        """Return which code the nodes were sent."""
        from daskbridge.code import CodeBundle

        return self.code.digest if isinstance(self.code, CodeBundle) else None

    @property
    def exclusive(self) -> bool:
        """Tell whether the cluster was made for this process alone."""
        return self.handle.ref.exclusive

    def asked_to_end(self) -> None:
        """Take the scheduler's end as meant."""
        self.ended = True
        if self.on_end is not None:
            self.on_end()
        self._ending = asyncio.ensure_future(self.client.close())

    async def failure(self) -> str | None:
        """Say what ended or can't start, as far as the cluster or its provisioner told."""
        return self.farewell or await self.handle.failure()

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
        if isinstance(reply, (list, tuple)):  # of a scheduler of our own
            done, known = reply
            self.run.progress = (done, known) if self.handle.ref.exclusive else None
            return True
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
            await close_quickly(self.client)

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
