"""``existing`` passes the conformance kit, on a scheduler and workers that others have started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from daskbridge.testing import ProvisionerSuite
from daskbridge.testing._until import until

#: Started with it, a node has what it gets and nothing else.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DASK"))}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def node(program, directory, *arguments):
    """Run a scheduler or a worker."""
    command = [sys.executable, "-P", "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", *arguments]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, env=CLEAN, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def address_in(file):
    text = file.read_text() if file.exists() else ""
    return json.loads(text)["address"] if text.endswith("}") else ""


class TestExisting(ProvisionerSuite):
    provisioner = "existing"
    lacks = {  # noqa: RUF012 -- as authors write it
        "exclusive": "the cluster is its owner's",
        "scale": "its owner scales it",
    }

    @contextmanager
    def surroundings(self, directory):
        file = directory / "scheduler.json"
        where, port = ("--scheduler-file", str(file)), ("--port", "0", "--dashboard-address", "127.0.0.1:0")
        with ExitStack() as stack:
            stack.enter_context(node("dask_scheduler", directory, *port, *where))
            for number in range(2):
                worker = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", f"theirs-{number}")
                stack.enter_context(node("dask_worker", directory, *worker, *where))
            address = until(lambda: address_in(file), 60, "the scheduler's file")
            yield {"DASK_SCHEDULER_ADDRESS": address}
