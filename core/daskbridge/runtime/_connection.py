"""The core's own connection to a cluster: check, equip and watch it, apart from the user's client."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._logs import LogReceiver
from daskbridge.cluster._versions import mine, mismatch
from daskbridge.errors import ProvisioningError
from daskbridge.runtime._explain import MEMORY_TOPIC, killed, missing_module, unpicklable
from daskbridge.runtime._strays import own
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed import NannyPlugin, SchedulerPlugin, WorkerPlugin

    from daskbridge.cluster import ClusterHandle, ClusterRef
    from daskbridge.code import CodeBundle
    from daskbridge.plugins import ClusterPlugin, Run
    from daskbridge.runtime._timeline import Progress

logger = logging.getLogger("daskbridge")

#: Seconds beyond the bound of a connection in which Dask may say what was wrong.
PATIENCE = 1.0
#: Workers turned away after which a start is given up: a platform replaces them for ever.
MOST_REFUSED = 3


class Connection:
    """Talk to one cluster for the core, on the core's loop; what it registers it takes back."""

    client: Any  # a Client; its types describe the synchronous and the asynchronous face at once

    def __init__(self, handle: ClusterHandle, run: Run) -> None:
        self.handle = handle
        self.run = run
        self.logs = LogReceiver()
        self.names: dict[str, str] = {}
        self.refused: list[str] = []
        self.bundle: CodeBundle | None = None
        #: Set when the scheduler is gone or another one: there is nothing to fetch and to take back.
        self.lost = False
        self._alive = f"daskbridge_alive_{run.id}"
        self._registered: list[Callable[[], Awaitable[Any]]] = []

    async def open(self, timeout: float) -> None:
        """Connect. Raises ProvisioningError with the address and what to look at."""
        from distributed import Client

        address, client = self.handle.ref.scheduler_address, None
        try:
            client = Client(
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
        versions = await self.client.get_versions(packages=["bokeh"])
        has_bokeh = versions["scheduler"]["packages"].get("bokeh")
        return replace(self.handle.ref, dashboard_link=self.client.dashboard_link if has_bokeh else None)

    async def compare(self, policy: str) -> str:
        """Compare environments, then guard the cluster against late workers that differ.

        Returns what was compared, in words. Raises EnvironmentMismatch where the policy says so.
        """
        from daskbridge.node.guard import TOPIC, RunGuard

        versions = mine()
        self.client.subscribe_topic(TOPIC, self._event)
        if policy != "ignore":
            found = mismatch(versions, await self.client.get_versions())
            if found is not None and policy == "error":
                raise found
            if found is not None:
                logger.warning("%s", found)
        guard = RunGuard(
            versions=versions, policy=policy, exclusive=self.handle.ref.exclusive, alive=self._alive
        )
        await self._register(guard, f"{guard.name}-{self.run.id}")
        return f"python {versions['python']}, dask {versions['dask']}"

    async def equip(self, plugins: list[ClusterPlugin]) -> None:
        """Register log forwarding, where the cluster is ours alone, and the plugins of plugins."""
        if self.handle.ref.exclusive and setting("forward-logs"):
            await self.logs.start(self.client)
        for item in plugins:
            await self._register(item.plugin, item.name)

    async def workers(self) -> dict[str, str]:
        """Return the workers that are ready for tasks: address to name."""
        identity = await self.client.scheduler.identity()
        running = {
            address: worker
            for address, worker in identity["workers"].items()
            if worker["status"] == "running"
        }
        found = {address: str(worker["name"]) for address, worker in running.items()}
        self.names.update(found)
        return found

    async def sync(self, bundle: CodeBundle) -> str:
        """Bring the code to the scheduler and to every worker. Raises BundleError.

        Returns what was done, in words.
        """
        from daskbridge.code import sync_code

        receipts = await sync_code(self.client, bundle, exclusive=self.handle.ref.exclusive)
        self.bundle = bundle
        return f"{bundle.digest[:12]} on {len(receipts)} nodes"

    async def ready(self, progress: Progress) -> bool:
        """Tell whether every group has a worker, and all together as many as the body waits for.

        A worker counts once it has the code. Raises ProvisioningError as soon as the provisioner
        knows a failure, or worker after worker is turned away.
        """
        if failure := await self.handle.failure():
            raise ProvisioningError(failure)
        if len(self.refused) >= MOST_REFUSED:
            raise ProvisioningError("\n".join(["worker after worker can't take part:", *self.refused]))
        found = await self.workers()
        if self.bundle is not None:
            from daskbridge.code import receipts

            equipped = {receipt.address for receipt in await receipts(self.client)}
            found = {address: name for address, name in found.items() if address in equipped}
        topology = self.run.topology
        progress.detail = f"workers ready: {len(found)}, needed: {topology.workers_to_wait_for}"
        groups = list(topology.groups)
        empty = groups if len(groups) > 1 else []
        empty = [
            group for group in empty if not any(name.rpartition("-")[0] == group for name in found.values())
        ]
        if empty:
            progress.detail += f"; none yet of {', '.join(empty)}"
        return not empty and len(found) >= topology.workers_to_wait_for

    async def alive(self) -> bool:
        """Ask whether this is still the scheduler that we equipped. Raises OSError if none answers."""
        reply = await getattr(self.client.scheduler, self._alive)()
        return reply is True

    async def explain(self, error: BaseException) -> None:
        """Add notes to a user's error: what only the cluster knows of its cause."""
        for note in (missing_module(error, self.bundle), unpicklable(error)):
            if note is not None:
                error.add_note(note)
        topics = ("all", MEMORY_TOPIC)
        events = {topic: await self.client.get_events(topic) for topic in topics}
        story = killed(error, events, self.names, self.logs.last)
        if story is not None:
            error.add_note(story)

    async def close(self) -> None:
        """Fetch the last lines, take back what a shared cluster should not keep, disconnect."""
        try:
            if self.lost:
                return
            if not self.handle.ref.exclusive:
                await self._take_back()
            elif setting("forward-logs"):
                await self.logs.finish(self.client, self.names)
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
        if self.bundle is not None:
            from daskbridge.code import forget_code

            await forget_code(self.client)
        await getattr(self.client.scheduler, self._alive)(leave=True)
        for unregister in reversed(self._registered):
            with suppress(ValueError):  # not there: somebody took it away already
                await unregister()

    def _event(self, event: tuple[float, dict[str, Any]]) -> None:
        kind, told = event[1].get("kind"), event[1]
        if kind == "worker-joined":
            self.names[told["address"]] = told["name"]
        elif kind == "worker-refused":
            differing = ", ".join(
                f"{name} {theirs} (driver {ours})" for name, (ours, theirs) in told["differs"].items()
            )
            self._refuse(f"worker {told['name']} was turned away: its environment differs: {differing}")
        elif kind == "code-failed":
            self._refuse(f"worker {told['name']} could not get the code: {told['error']}")

    def _refuse(self, words: str) -> None:
        self.refused.append(words)
        logger.warning("%s", words)
