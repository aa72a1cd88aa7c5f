"""A Prefect server on loopback, and what its API knows of a run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Seconds in which the server must be up: it makes its database first.
START = 110
#: Seconds in which the server must know what a run has told it: logs and events travel in the background.
LATE = 20

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # nothing is scheduled here but what a test asks for, and that is wanted soon
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
}


@dataclass(frozen=True)
class Server:
    """Ask the API of a server; every answer is waited for, since what it knows comes late."""

    url: str
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return what a process needs to use it."""
        return {**QUIET, "PREFECT_HOME": str(self.home), "PREFECT_API_URL": self.url}

    def ask(self, path: str, **filters: Any) -> Any:
        response = httpx.post(f"{self.url}/{path}", json=filters, timeout=LATE)
        response.raise_for_status()
        return response.json()

    def task_runs(self, flow_run: object, number: int = 1) -> list[dict[str, Any]]:
        """Return the task runs of a flow run in order, once as many have ended: it hears of them late."""
        filters = {"flow_runs": {"id": {"any_": [str(flow_run)]}}, "sort": "EXPECTED_START_TIME_ASC"}

        def found() -> list[dict[str, Any]]:
            return self.ask("task_runs/filter", **filters)

        def ended(runs: list[dict[str, Any]]) -> bool:
            over = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
            return len(runs) >= number and all(run["state_type"] in over for run in runs)

        runs = until(found, ended)
        assert ended(runs), runs
        return runs

    def artifacts(self, task_run: object) -> dict[str, dict[str, Any]]:
        """Return the artifacts of a task run by key; its summary comes last."""
        filters = {"artifacts": {"task_run_id": {"any_": [str(task_run)]}}}
        found = self.ask("artifacts/filter", **filters)
        return {artifact["key"]: artifact for artifact in found}

    def logs(self, *, said: str, **ids: object) -> list[dict[str, Any]]:
        """Return the log lines of ``task_run_id=`` or ``flow_run_id=``, once they have what was ``said``."""
        filters = {name: {"any_": [str(value)]} for name, value in ids.items()}

        def found() -> list[dict[str, Any]]:
            return self.ask("logs/filter", logs=filters, sort="TIMESTAMP_ASC")

        lines = until(found, lambda lines: any(said in line["message"] for line in lines))
        assert any(said in line["message"] for line in lines), [line["message"] for line in lines]
        return lines


def until(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = LATE) -> Any:
    """Look until what is seen is good; return the last of it, good or not, when the time is over."""
    end = time.monotonic() + seconds
    while not good(seen := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return seen


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Start a server with an empty database in ``home``; end it with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}/api", home)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    own = {**server.environ, "PREFECT_API_URL": "", "PREFECT_UI_ENABLED": "false"}
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=os.environ | own, stdout=log, stderr=log)
    try:
        up = until(lambda: process.poll() is None and _healthy(server), bool, START)
        assert up, (home / "server.log").read_text()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _healthy(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
