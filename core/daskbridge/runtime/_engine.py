"""One run, from the check to the close: the one place where the steps are put in order."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread
from daskbridge.errors import ClusterLost, DaskbridgeError, ProvisioningError, RunCancelled
from daskbridge.plugins import Run, Step, plugins
from daskbridge.runtime._check import Checked, check_run
from daskbridge.runtime._connection import Connection
from daskbridge.runtime._equipment import equipment
from daskbridge.runtime._new_code import NewCode
from daskbridge.runtime._orchestration import Orchestration
from daskbridge.runtime._timeline import Timeline
from daskbridge.runtime._watch import Watch
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import ClusterHandle
    from daskbridge.runtime._options import Options

#: Seconds between two looks at a cancel event.
LOOK = 0.1
#: Seconds for what is good to have at the end: a story of an error, the last log lines.
ASIDE = 5.0
#: Seconds for the body's clients to close before the cluster does.
DROPPED = 1.0

logger = logging.getLogger("daskbridge")


class Engine:
    """Drive one run on the core's loop; what it opened it closes, whatever happens."""

    handle: ClusterHandle
    connection: Connection
    #: What the nodes' code is packed from.
    source: CodeSpec | CodeBundle | InstalledCode | None
    #: Whether others use the cluster, too.
    shares = False
    _bound: asyncio.Timeout
    _loop: asyncio.AbstractEventLoop

    def __init__(self, options: Options) -> None:
        self.options = options
        self.run = Run(uuid.uuid4().hex[:8], options.name or options.title, options.topology, provisioner="")
        self.timeline = Timeline(self._tell, min(setting("step-interval"), 5.0))
        self.notes: list[str] = []
        #: Set once nothing of the run is left; any thread may look.
        self.gone = threading.Event()
        self.new_code = NewCode(self)
        self._drop: Callable[[], Iterable[Future[None]]] | None = None
        self._watch: Watch | None = None
        self.orchestration = Orchestration(self.run)
        self._stack = AsyncExitStack()
        self._body = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._asked = False

    @property
    def verdict(self) -> DaskbridgeError | None:
        """Return the error in which the body ends because the core interrupted it."""
        return self._watch.verdict if self._watch else None

    async def open(self) -> None:
        """Take every step up to the user's body; cancelled or failing, leave nothing."""
        try:
            self._go_on("before anything began")
            self._opening = asyncio.ensure_future(self._open())
            while not (await asyncio.wait({self._opening}, timeout=LOOK))[0]:
                self._go_on(f"in step {self.timeline.current[0]!r}, before the body began")
            self._opening.result()
        except BaseException as error:
            self.run.error = error
            await asyncio.shield(self.close("not opened"))
            raise

    async def started(
        self, interrupt: Callable[[], None], drop: Callable[[], Iterable[Future[None]]]
    ) -> None:
        """Begin the body: from here on a lost cluster or a cancel calls ``interrupt``.

        ``drop`` is called when the cluster ends before the body does, to close the body's client.
        Raises RunCancelled if the end was asked for meanwhile.
        """
        self._go_on("before the body began")
        self._loop = asyncio.get_running_loop()
        self._drop = self.connection.on_end = drop
        await self._body.enter_async_context(self.timeline.step("body"))
        self._watch = Watch(self.connection, self._cancelled, interrupt)
        if self._asked:  # while there was no watch yet
            self.request_close()

    async def ended(self, error: BaseException | None) -> None:
        """End the body; add to its error what the cluster knows of its cause."""
        self.run.error = error
        self._drop = None
        if self._watch is None:
            return
        await self._watch.stop(error)
        self.connection.lost = isinstance(self.verdict, ClusterLost)
        trace = error.__traceback__ if error else None  # contextlib sets it back to what it is given
        await self._body.__aexit__(type(error) if error else None, error, trace)
        if error is not None and self.verdict is None and self._closing is None:
            await self._explain(error)

    async def exchange(self, old: CodeBundle, new: CodeBundle, mine: set[str], timeout: float) -> int:
        """Replace the workers by others with new code; return how many. ``mine`` are this block's clients."""
        self.run.equipment = await in_thread(lambda: equipment(self.run, new))
        return await self.connection.exchange(old, new, mine, timeout)

    async def close(self, reason: str) -> None:
        """End all that was opened, in reverse; a second call waits for the first."""
        await asyncio.shield(self._begin_to_close(reason))

    def request_close(self) -> None:
        """Ask for the end from anywhere, a signal handler too; return at once.

        Before the body begins, that is a cancel; from then on the run closes in order, beginning with
        the body's client. While it closes already, the provisioner is asked, too: it does not wait.
        """
        self._asked = True  # the start looks by itself
        if self._watch is None or self.gone.is_set():
            return
        if self._closing is not None:
            self.handle.request_close()
            return
        self._watch.ignore()
        with suppress(RuntimeError):  # the loop is gone, and so is the run
            self._loop.call_soon_threadsafe(self._begin_to_close, "the end was asked for")

    def _begin_to_close(self, reason: str) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(reason))
        return self._closing

    def _go_on(self, where: str) -> None:
        """Raise RunCancelled if the run should not go on to its body."""
        if self._asked:
            raise RunCancelled(f"asked to close {where}")
        if self._cancelled():
            raise RunCancelled(f"cancelled {where}")

    def _cancelled(self) -> bool:
        given = self.options.cancel
        return (given is not None and given.is_set()) or self.orchestration.cancelled()

    def _tell(self, step: str, state: str, elapsed: float, detail: str) -> None:
        plugins().step(step, state, elapsed, detail, self.run)
        self.orchestration.tell(Step(step, state, elapsed, detail))

    async def _open(self) -> None:
        await in_thread(plugins().load)
        async with self.timeline.step("check") as progress:
            self.run.tell = progress.say
            orchestrator = await self.orchestration.detect()
            checking = in_thread(lambda: check_run(self.options, self.run, orchestrator), late=Checked.drop)
            checked = await checking
            self._stack.callback(checked.drop)
            self.source = checked.source
            self.notes += checked.notes
            progress.detail = f"{self.run.provisioner}; {checked.told}"
        try:
            async with asyncio.timeout(self.run.topology.start_timeout) as self._bound:
                await self._start(checked)
        except TimeoutError as error:
            if not self._bound.expired():
                raise
            raise await self._too_late() from error
        except OSError as error:
            step = self.timeline.current[0]
            raise ProvisioningError(f"the cluster could not be started: step {step!r}: {error}") from error
        await self.orchestration.ready()

    async def _start(self, checked: Checked) -> None:
        async with self.timeline.step("provision") as progress:
            self.run.tell = progress.say
            self.handle = await self._provision(checked)
            self._stack.push_async_callback(self.handle.close, "the run ended")
            self.notes += self.handle.notes
            progress.detail = "; ".join(self.notes)
            self.notes += checked.warnings
        self.connection = self._connection()
        async with self.timeline.step("connect") as progress:
            await self.connection.open(setting("connect-timeout"))
            self._stack.push_async_callback(self._disconnect)
            self.run.ref = await self.connection.describe()
            progress.detail = self.run.ref.dashboard
        async with self.timeline.step("compare") as progress:
            progress.detail = await self.connection.compare(setting("environment-check"), checked.code)
        async with self.timeline.step("sync") as progress:
            await self.connection.equip(checked.cluster_plugins)
            if checked.code is not None:
                progress.detail = await self.connection.sync(checked.code, progress.say)
            checked.drop()  # the scheduler has it for those who come late
        async with self.timeline.step("ready") as progress:
            await self.connection.arrivals.wait(progress)

    async def _provision(self, checked: Checked) -> ClusterHandle:
        self.run.equipment = await in_thread(lambda: equipment(self.run, checked.code))
        return await checked.provisioner.provision(self.run.topology, self.run)

    def _connection(self) -> Connection:
        return Connection(self.handle, self.run)

    async def _explain(self, error: BaseException) -> None:
        try:
            await asyncio.wait_for(self.connection.explain(error), ASIDE)
        except Exception as failure:  # noqa: BLE001 -- the body's error must come out, with or without its story
            error.add_note(f"daskbridge could not ask the scheduler for the cause: {failure!r}")

    async def _disconnect(self) -> None:
        """Close the connection within a bound: the cluster's own end must follow in any case."""
        try:
            await asyncio.wait_for(self.connection.close(), ASIDE)
        except (OSError, TimeoutError) as failure:
            address = self.handle.ref.scheduler_address
            logger.info("the connection to %s did not close in order: %r", address, failure)

    async def _too_late(self) -> DaskbridgeError:
        step, progress = self.timeline.current
        failure = await self.handle.failure() if hasattr(self, "handle") else None
        limit = f"start_timeout={self.run.topology.start_timeout:g} s"
        detail = f": {progress.detail}" if progress.detail else ""
        msg = f"the cluster was not ready within {limit}; step {step!r} was under way{detail}"
        msg = "\n".join([msg, *([failure] if failure else [])])
        hint = self.run.hint or "look for a full queue, an image that can't be pulled, an exhausted quota"
        hint += "; or raise Dask(start_timeout=)"
        if hasattr(self, "connection"):
            return self.connection.arrivals.failure(msg, hint)
        return ProvisioningError(msg, hint=hint)

    async def _close(self, reason: str) -> None:
        try:
            if self._opening is not None and not self._opening.done():
                self._opening.cancel()
                await asyncio.wait({self._opening})
            if self._watch is not None:
                self._watch.ignore()
            await self.new_code.stop()
            if self._drop is not None:
                dropped = [asyncio.wrap_future(each) for each in self._drop()]
                if dropped:  # before their scheduler is gone; a loop that is blocked is not waited for
                    await asyncio.wait(dropped, timeout=DROPPED)
            await self._body.aclose()
            await (self._end(reason) if hasattr(self, "handle") else self._stack.aclose())
        finally:
            self.run.steps = self.timeline.steps
            await self.orchestration.closed()
            self.gone.set()

    async def _end(self, reason: str) -> None:
        limit = setting("close-timeout")
        try:
            async with self.timeline.step("close") as progress, asyncio.timeout(limit) as bound:
                progress.detail = reason
                await self._stack.aclose()
        except TimeoutError as error:
            if not bound.expired():
                raise
            name = self.handle.ref.name
            msg = f"cluster {name!r} did not end within {limit:.0f} s: it may still be running"
            hint = "look for it where it was provisioned, and end it there"
            raise ProvisioningError(msg, hint=hint) from error
