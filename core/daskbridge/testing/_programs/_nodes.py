"""Look at the nodes of the cluster that a body has."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from daskbridge._environ import environment
from daskbridge.errors import ProvisioningError
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client, Future

    from daskbridge.testing._driver import Driver

#: Seconds for a worker of the kit's to end before it is killed.
ENDING = 10


def workers(client: Client) -> dict[str, Any]:
    """Return what the scheduler knows of its workers, by address."""
    scheduler: Any = client.scheduler
    identity: Any = client.sync(scheduler.identity)  # scheduler_info() may return what Dask asked meanwhile
    found: dict[str, Any] = identity["workers"]
    return found


def address_of(client: Client) -> str:
    """Return the scheduler's address."""
    scheduler: Any = client.scheduler
    return str(scheduler.address)


def wait_for(driver: Driver, client: Client, number: int) -> int:
    """Wait for as many workers, at most for the suite's patience; return how many there are."""
    what = f"{number} workers"
    until(lambda: len(workers(client)), driver.patience, what, wanted=lambda found: found >= number)
    return len(workers(client))


def on_workers(driver: Driver, client: Client, function: Callable[..., object]) -> dict[str, Any]:
    """Run a function in a task on every worker; return the answers by the workers' names."""
    futures = {
        str(info["name"]): client.submit(function, workers=[address], pure=False)
        for address, info in workers(client).items()
    }
    return {name: future.result(driver.patience) for name, future in futures.items()}


def who(driver: Driver, client: Client) -> list[Any]:
    """Return the processes of the nodes and the address of the scheduler, where they end with the run.

    None of it where the cluster is not this run's alone: then others may go on.
    """
    if "exclusive" in driver.lacks:
        return [[], []]
    nodes = [client.run_on_scheduler(process()), *client.run(process()).values()]
    return [nodes, [address_of(client)]]


async def awho(driver: Driver, client: Any) -> list[Any]:  # noqa: ANN401 -- a Client, whose answers are awaited or not
    """Do what :func:`who` does in an ``async`` body, whose client may be of either kind."""
    if "exclusive" in driver.lacks:
        return [[], []]
    answers = [client.run_on_scheduler(process()), client.run(process())]
    scheduler, workers = [await each if inspect.isawaitable(each) else each for each in answers]
    return [[scheduler, *workers.values()], [address_of(client)]]


def pending(client: Client) -> Future[int]:
    """Return a future that no worker will ever run: nothing but its cluster's end ends a wait for it."""
    future: Future[int] = client.submit(abs, 1, resources={"what no worker has": 1}, pure=False)
    return future


# Nested functions travel by value: they need nothing of daskbridge on the nodes, and not the project either.


def process() -> Callable[[], dict[str, Any]]:
    """Return a function that says which process it runs in."""

    def look() -> dict[str, Any]:
        import socket

        import psutil

        here = psutil.Process()
        return {"pid": here.pid, "created": here.create_time(), "host": socket.gethostname()}

    return look


def environ(*names: str) -> Callable[[], dict[str, str | None]]:
    """Return a function that looks up environment variables."""

    def look() -> dict[str, str | None]:

        return {name: os.environ.get(name) for name in names}

    return look


def configured(key: str) -> Callable[[], Any]:
    """Return a function that looks something up in Dask's configuration."""

    def look() -> Any:  # noqa: ANN401 -- whatever is there
        import dask.config

        return dask.config.get(key, None)

    return look


@contextmanager
def late_worker(driver: Driver, client: Client) -> Iterator[str | None]:
    """Have one more worker join and give its address: by scaling, or else by starting one from here.

    Gives None where the target can have neither.
    """
    before = set(workers(client))

    def new() -> set[str]:
        return set(workers(client)) - before

    if (cluster := driver.cluster) is not None and "scale" not in driver.lacks:
        with suppress(ProvisioningError, TimeoutError):  # a test of scaling says so
            cluster.scale(len(before) + 1)
            until(new, driver.patience / 4, "a late worker")
    if found := new():
        yield found.pop()
        return
    if "late-workers" in driver.lacks:
        yield None
        return
    with _dask_worker(client) as process:
        until(lambda: process.poll() is not None or new(), driver.patience, "a late worker")
        if process.returncode is not None:
            msg = f"`dask worker` ended with {process.returncode}; it printed to this program's output"
            raise RuntimeError(msg)
        yield new().pop()


@contextmanager
def _dask_worker(client: Client) -> Iterator[subprocess.Popen[bytes]]:
    quiet = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "60"]
    environ = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as directory:
        where = [address_of(client), "--local-directory", directory]
        process = subprocess.Popen(  # noqa: S603 -- a worker of the kit's
            [sys.executable, "-P", "-m", "distributed.cli.dask_worker", *where, *quiet],
            env=environ | _certificates(client),
            stdin=subprocess.DEVNULL,
            cwd=directory,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _certificates(client: Client) -> dict[str, str]:
    """Return the configuration by which a worker joins a cluster that speaks TLS."""
    security: Any = client.security
    found = {
        "CA_FILE": security.tls_ca_file,
        "WORKER__CERT": security.tls_worker_cert or security.tls_client_cert,
        "WORKER__KEY": security.tls_worker_key or security.tls_client_key,
    }
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in found.items() if value}
