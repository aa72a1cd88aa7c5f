"""Start one clean child process and talk with it: JSON lines in, JSON lines out, output to a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from daskbridge.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import IO

TAIL = 64 * 1024

#: The driver's ends of all children's standard inputs.
_pipes: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


class Child:
    """Own one ``python -m daskbridge.cluster.local_node`` process; lives on the core's loop.

    The child ends when its standard input does, so it can't outlive the driver however that ends.
    Its session is its own: a terminal's Ctrl-C reaches the driver, which then closes in order.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log
        assert process.stdin is not None
        _pipes.add(process.stdin.get_extra_info("pipe"))

    @classmethod
    async def start(cls, name: str, directory: Path, environ: Mapping[str, str]) -> Child:
        """Start the process in ``directory``; it begins with its imports at once."""
        directory.mkdir()  # noqa: ASYNC240 -- on this machine, and once
        log = directory.with_suffix(".log")
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # neither the working directory nor the script's on sys.path
                "-m",
                "daskbridge.cluster.local_node",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                cwd=directory,
                env=dict(environ),
                start_new_session=True,
            )
        return cls(name, process, log)

    async def tell(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Send one message. Raises ProvisioningError if the process has ended."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            await self.process.stdin.drain()
        except OSError as error:
            raise self._ended() from error

    async def answer(self) -> dict[str, Any]:
        """Wait for one message. Raises ProvisioningError if the process ends first."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            await self.process.wait()
            raise self._ended()
        message: dict[str, Any] = json.loads(line)
        return message

    def tail(self, lines: int = 200) -> str:
        """Return the last lines that the process wrote."""
        with self._log.open("rb") as output:
            output.seek(max(0, os.fstat(output.fileno()).st_size - TAIL))
            return "\n".join(output.read().decode("utf-8", "replace").splitlines()[-lines:])

    def failure(self) -> str | None:
        """Say how the process ended, with its last lines, or None while it runs."""
        if self.process.returncode is None:
            return None
        return f"the {self.name} process ended with exit code {self.process.returncode}:\n{self.tail(20)}"

    async def close(self, timeout: float) -> None:
        """End the process and all that it started: by its standard input, then by force."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), timeout)
        except TimeoutError:
            pass  # the next line is the answer
        finally:
            self.signal(signal.SIGKILL)
            await self.process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, if any of it is left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _ended(self) -> ProvisioningError:
        return ProvisioningError(self.failure() or f"the {self.name} process closed its output")


def _forget() -> None:
    """Let go in a forked child of the driver: nodes end with the driver, not with its last child."""
    for pipe in list(_pipes):
        pipe.close()


os.register_at_fork(after_in_child=_forget)
