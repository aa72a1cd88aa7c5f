"""A Prefect server for a benchmark, and the programs whose flows report to it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from _machine import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds in which a server must be up, and in which a program must have ended.
START, LIMIT = 180, 1200
WORKERS = 2
FLOW = Path(__file__).parent / "_prefect_flow.py"


@dataclass(frozen=True)
class Case:
    """One runner, how many tasks, how many times one after the other."""

    runner: str
    tasks: int
    rounds: int = 1


@dataclass(frozen=True)
class Server:
    """Know a server, and the environment of programs that use it."""

    pid: int
    environment: dict[str, str]

    def run(self, case: Case, python: str) -> dict[str, Any]:
        """Run a case as a fresh process; return its figures."""
        return self.play(python, FLOW, case.runner, *map(str, (case.tasks, case.rounds, WORKERS, self.pid)))

    def play(self, python: str, program: Path, *arguments: str) -> dict[str, Any]:
        """Run a program; return the JSON of its last such line. Raises SystemExit if it fails."""
        command = [python, str(program), *arguments]
        done = subprocess.run(  # noqa: S603 -- a program of these benchmarks
            command, env=self.environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise SystemExit(f"failed: {' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        figures: dict[str, Any] = json.loads(lines[-1])
        return figures


def has_peer(python: str) -> bool:
    """Tell whether an interpreter has prefect-dask."""
    asked = [python, "-c", "import prefect_dask"]
    return not subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode  # noqa: S603 -- the user's


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server with an empty database on loopback; end it with the block."""
    with TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environment = clean_environment() | {
            "PREFECT_HOME": home,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "DASK_DASKBRIDGE__CACHE_DIRECTORY": str(Path(home, "cache")),
        }
        address = ["--host", "127.0.0.1", "--port", str(port)]
        command = [sys.executable, "-m", "prefect", "server", "start", *address]
        with Path(home, "server.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 -- ours
        try:
            url = f"http://127.0.0.1:{port}/api"
            end = time.monotonic() + START
            while not _healthy(url):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(Path(home, "server.log").read_text()[-4000:])
                time.sleep(0.2)
            yield Server(process.pid, environment | {"PREFECT_API_URL": url})
        finally:
            process.terminate()
            process.wait(30)


def _healthy(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 -- loopback
            return bool(answer.status == 200)  # noqa: PLR2004 -- HTTP's word for well
    except (URLError, OSError):
        return False
