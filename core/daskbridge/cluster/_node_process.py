"""One process that starts a node and stays as long as the node does: its output, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from subprocess import DEVNULL
from typing import TYPE_CHECKING

from daskbridge.cluster._process_output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daskbridge.cluster._node import Node

#: Lines of the output in a message.
SHOWN = 20
#: Seconds for the last output of a process that has ended: what it started may hold the other end.
LAST_WORDS = 1.0
#: Seconds for processes to end by SIGTERM, and by SIGKILL.
TERMINATED, KILLED = 5.0, 5.0
#: Where processes run: it is there on every machine, and nobody's code lies in it.
EMPTY = "/"


logger = logging.getLogger("daskbridge")


class NodeProcess:
    """Run one command from now on; lives on the core's loop.

    It has a process group of its own, so that Ctrl-C does not reach it and its end reaches all that it
    started. Its standard input is empty.
    """

    def __init__(self, node: Node, command: Sequence[str], on_end: Callable[[NodeProcess], None]) -> None:
        self.node = node
        self.command = command
        self.output = Output()
        #: The exit status, negative for a signal, once it is known.
        self.code: int | None = None
        #: Why it could not be started at all.
        self.refused = ""
        self.pid: int | None = None
        self._born = asyncio.Event()
        self._life = asyncio.ensure_future(self._live())
        self._life.add_done_callback(lambda _: on_end(self))

    @property
    def alive(self) -> bool:
        """Tell whether it runs, or is about to."""
        return not self._life.done()

    @property
    def words(self) -> str:
        """Return its last lines."""
        return "\n".join([*self.output.lines][-SHOWN:])

    @property
    def end_in_words(self) -> str:
        """Say how it ended, with its last lines."""
        if self.refused:
            return f"{self.node.name} could not be started by {self.command[0]!r}: {self.refused}"
        how = f"with exit code {self.code}"
        if self.code is not None and self.code < 0:
            named = {each.value: each.name for each in signal.Signals}
            how = f"by {named.get(-self.code, f'signal {-self.code}')}"
        return f"{self.node.name} ended {how}" + (f":\n{self.words}" if self.words else "")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it started; any thread and any signal handler may call."""
        if self.pid is not None and self.code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def born(self) -> None:
        """Wait until it runs, or could not be started."""
        await self._born.wait()

    async def ended(self) -> None:
        """Wait for the end."""
        await asyncio.shield(self._life)

    async def _live(self) -> None:
        try:
            process = await self._start()
        except (OSError, ValueError) as error:  # a null character is a ValueError
            self.refused = str(error)
            return
        finally:
            self._born.set()
        self.code = await process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind
        with suppress(TimeoutError):
            await asyncio.wait_for(self.output.closed.wait(), LAST_WORDS)
        self.output.close()

    async def _start(self) -> asyncio.subprocess.Process:
        ours, theirs = os.pipe()
        try:
            pipe = os.fdopen(ours, "rb", 0)
            await asyncio.get_running_loop().connect_read_pipe(lambda: self.output, pipe)
            process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=DEVNULL,
                stdout=theirs,
                stderr=theirs,
                cwd=EMPTY,
                env=dict(self.node.environment),
                start_new_session=True,
            )
        except BaseException:
            self.output.close()
            raise
        finally:
            os.close(theirs)
        self.pid = process.pid
        return process


async def all_ended(processes: Iterable[NodeProcess], timeout: float) -> list[NodeProcess]:
    """Wait for the end of processes, and return those that are still there after ``timeout`` seconds."""
    waiting = [asyncio.ensure_future(process.ended()) for process in processes if process.alive]
    if waiting:
        await asyncio.wait(waiting, timeout=timeout)
    for each in waiting:
        each.cancel()
    return [process for process in processes if process.alive]


async def end(processes: Iterable[NodeProcess]) -> None:
    """End processes by SIGTERM, those that stay by SIGKILL, and return when they are gone."""
    there = [process for process in processes if process.alive]
    for number, timeout in ((signal.SIGTERM, TERMINATED), (signal.SIGKILL, KILLED)):
        for process in there:
            await process.born()  # one that is just being started would not hear it
            process.signal(number)
        there = await all_ended(there, timeout)
    for process in there:
        logger.warning(
            "%s did not end by SIGKILL: process %s may still be there", process.node.name, process.pid
        )
