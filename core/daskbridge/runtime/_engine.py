"""One run, from the check to the close: the one place where the steps are put in order."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from daskbridge.errors import DaskbridgeError, ProvisioningError, RunCancelled
from daskbridge.plugins import Run, plugins
from daskbridge.runtime._code import bundle_for
from daskbridge.runtime._connection import Connection
from daskbridge.runtime._timeline import Timeline
from daskbridge.runtime._watch import Watch
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.cluster import ClusterHandle, Provisioner
    from daskbridge.code import CodeBundle
    from daskbridge.plugins import Orchestrator
    from daskbridge.runtime._options import Options

#: Seconds between two looks at a cancel event, and between two looks for workers.
LOOK = 0.1
#: Seconds for what is good to have at the end: a story of an error, the last log lines.
ASIDE = 5.0

logger = logging.getLogger("daskbridge")


class Engine:
    """Drive one run on the core's loop; what it opened it closes, whatever happens."""

    handle: ClusterHandle
    connection: Connection

    def __init__(self, options: Options) -> None:
        self.options = options
        self.run = Run(
            id=uuid.uuid4().hex[:8],
            name=options.name or "run",
            topology=options.topology,
            provisioner="",
        )
        interval = min(setting("step-interval"), 5.0)
        self.timeline = Timeline(self._tell, interval)
        self.notes: list[str] = []
        self.bundle: CodeBundle | None = None
        self.watch: Watch | None = None
        self._stack = AsyncExitStack()
        self._body = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._orchestrator: Orchestrator | None = None

    @property
    def verdict(self) -> DaskbridgeError | None:
        """Return the error in which the body ends because the core interrupted it."""
        return self.watch.verdict if self.watch else None

    async def open(self) -> None:
        """Take every step up to the user's body; cancelled or failing, leave nothing."""
        self._opening = asyncio.ensure_future(self._open())
        cancel = self.options.cancel
        try:
            while not self._opening.done():
                await asyncio.wait({self._opening}, timeout=LOOK if cancel else None)
                if cancel is not None and cancel.is_set():
                    step = self.timeline.current[0]
                    raise RunCancelled(f"cancelled in step {step!r}, before the body began")  # noqa: TRY301
            self._opening.result()
        except BaseException:
            await asyncio.shield(self.close("not opened"))
            raise

    async def started(self, interrupt: Callable[[], None]) -> None:
        """Begin the body: from here on a lost cluster or a cancel calls ``interrupt``."""
        await self._body.enter_async_context(self.timeline.step("body"))
        self.watch = Watch(self.connection, self.options.cancel, interrupt)

    async def ended(self, error: BaseException | None) -> None:
        """End the body; add to its error what the cluster knows of its cause."""
        if self.watch is None:
            return
        await self.watch.stop(error)
        trace = error.__traceback__ if error else None  # contextlib sets it back to what it is given
        await self._body.__aexit__(type(error) if error else None, error, trace)
        if error is not None and self.verdict is None:
            await self._explain(error)

    async def close(self, reason: str) -> None:
        """End all that was opened, in reverse; a second call waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(reason))
        await asyncio.shield(self._closing)

    def request_close(self) -> None:
        """Ask for the end from anywhere; return at once."""
        if hasattr(self, "handle"):
            self.handle.request_close()

    def _tell(self, step: str, state: str, elapsed: float, detail: str) -> None:
        plugins().step(step, state, elapsed, detail, self.run)

    async def _open(self) -> None:
        await asyncio.to_thread(plugins().load)
        async with self.timeline.step("check") as progress:
            provisioner, orchestrator = await asyncio.to_thread(self._check)
            progress.detail = f"{self.run.provisioner}; {_told(self.bundle)}"
        try:
            async with asyncio.timeout(self.run.topology.start_timeout):
                await self._start(provisioner)
        except TimeoutError as error:
            raise await self._too_late() from error
        if orchestrator is not None:
            self._orchestrator = orchestrator
            await self._publish(orchestrator.on_ready)

    def _check(self) -> tuple[Provisioner, Orchestrator | None]:
        from daskbridge.serialization import check

        orchestrator = plugins().orchestrator()
        if orchestrator is not None:
            self.run.orchestrator, self.run.code_root = orchestrator.name, orchestrator.code_root()
            self.run.name = self.options.name or orchestrator.identity() or self.run.name
        provisioner = self.options.target()
        self.run.provisioner = provisioner.name
        self.run.topology = plugins().topology(self.options.topology, provisioner)
        self.notes += check(self.run.topology, provisioner)
        provisioner.validate(self.run.topology)
        self._plugins = plugins().cluster_plugins(self.run.topology, self.run)
        self.bundle = bundle_for(self.options, self.run, self._stack)
        return provisioner, orchestrator

    async def _start(self, provisioner: Provisioner) -> None:
        async with self.timeline.step("provision") as progress:
            self.handle = await provisioner.provision(self.run.topology, self.run)
            self._stack.push_async_callback(self.handle.close, "the run ended")
            self.notes += self.handle.notes
            progress.detail = "; ".join(self.notes)
        self.connection = Connection(self.handle, self.run)
        async with self.timeline.step("connect") as progress:
            await self.connection.open(setting("connect-timeout"))
            self._stack.push_async_callback(self._disconnect)
            self.run.ref = await self.connection.describe()
            progress.detail = self.run.ref.dashboard_link or self.run.ref.scheduler_address
        async with self.timeline.step("compare") as progress:
            progress.detail = await self.connection.compare(setting("environment-check"))
        async with self.timeline.step("sync") as progress:
            await self.connection.equip(self._plugins)
            if self.bundle is not None:
                progress.detail = await self.connection.sync(self.bundle)
        async with self.timeline.step("ready") as progress:
            while not await self.connection.ready(progress):
                await asyncio.sleep(LOOK)

    async def _explain(self, error: BaseException) -> None:
        try:
            await asyncio.wait_for(self.connection.explain(error), ASIDE)
        except (OSError, TimeoutError) as failure:
            error.add_note(f"daskbridge could not ask the scheduler for the cause: {failure!r}")

    async def _disconnect(self) -> None:
        """Close the connection within a bound: the cluster's own end must follow in any case."""
        try:
            await asyncio.wait_for(self.connection.close(), ASIDE)
        except (OSError, TimeoutError) as failure:
            logger.info(
                "the connection to %s did not close in order: %r", self.handle.ref.scheduler_address, failure
            )

    async def _publish(self, tell: Callable[[Run], None]) -> None:
        """Let the orchestrator show something of the run; that it can't is no failure of the run."""
        try:
            await asyncio.to_thread(tell, self.run)
        except Exception:
            logger.warning("orchestrator %r could not publish the run", self.run.orchestrator, exc_info=True)

    async def _too_late(self) -> ProvisioningError:
        step, progress = self.timeline.current
        failure = await self.handle.failure() if hasattr(self, "handle") else None
        known = [failure] if failure else []
        known += self.connection.refused if hasattr(self, "connection") else []
        msg = (
            f"the cluster was not ready within start_timeout={self.run.topology.start_timeout:g} s;"
            f" step {step!r} was under way" + (f": {progress.detail}" if progress.detail else "")
        )
        hint = (
            "look for a full queue, an image that can't be pulled or a quota; or raise Dask(start_timeout=)"
        )
        return ProvisioningError("\n".join([msg, *known]), hint=hint)

    async def _close(self, reason: str) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._body.aclose()
        if not hasattr(self, "handle"):
            await self._stack.aclose()
            return
        try:
            async with self.timeline.step("close") as progress, asyncio.timeout(setting("close-timeout")):
                progress.detail = reason
                await self._stack.aclose()
        except TimeoutError as error:
            name, bound = self.handle.ref.name, setting("close-timeout")
            msg = f"cluster {name!r} did not end within {bound:.0f} s: it may still be running"
            hint = "look for it where it was provisioned, and end it there"
            raise ProvisioningError(msg, hint=hint) from error
        finally:
            if self._orchestrator is not None:
                await self._publish(self._orchestrator.on_close)


def _told(bundle: CodeBundle | None) -> str:
    if bundle is None:
        return "no code"
    roots = ", ".join(map(str, bundle.roots))
    return f"{bundle.files} files of {roots} ({bundle.size / 1024:.0f} KiB packed)"
