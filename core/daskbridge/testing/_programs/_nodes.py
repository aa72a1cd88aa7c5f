"""Look at the nodes of the cluster that a body has."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from daskbridge.testing._driver import Driver


def workers(client: Client) -> dict[str, Any]:
    """Return what the scheduler knows of its workers, by address."""
    found: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
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


def on_workers(driver: Driver, client: Client, name: str, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401 -- what the function returns
    """Run a function of the entry module in a task on every worker; return the answers by worker's name."""
    function, known = getattr(driver.entry, name), workers(client)
    futures = {
        info["name"]: client.submit(function, *arguments, workers=[address], pure=False)
        for address, info in known.items()
    }
    return {str(key): future.result(driver.patience) for key, future in futures.items()}


def on_scheduler(driver: Driver, client: Client, name: str, *arguments: Any) -> Any:  # noqa: ANN401 -- as above
    """Run a function of the entry module on the scheduler; return its answer."""
    return client.run_on_scheduler(getattr(driver.entry, name), *arguments)


def who(driver: Driver, client: Client) -> list[Any]:
    """Return the processes of the nodes and the address of the scheduler, where they end with the run.

    None of it where the cluster is not this run's alone: then others may go on.
    """
    if "exclusive" in driver.lacks:
        return [[], []]
    nodes = [on_scheduler(driver, client, "who"), *client.run(driver.entry.who).values()]
    return [nodes, [address_of(client)]]


@contextmanager
def late_worker(driver: Driver, client: Client) -> Iterator[str | None]:
    """Have one more worker join and give its address: by scaling, or else by starting one from here.

    Gives None where the target can have neither.
    """
    before = set(workers(client))

    def new() -> set[str]:
        return set(workers(client)) - before

    if driver.cluster is not None and "scale" not in driver.lacks:
        driver.cluster.scale(len(before) + 1)
        try:
            yield until(new, driver.patience / 4, "a late worker").pop()
        except TimeoutError:  # a test of scaling says so
            pass
        else:
            return
    if "late-workers" in driver.lacks:
        yield None
        return
    with TemporaryDirectory() as directory, _dask_worker(client, directory) as process:
        found = until(lambda: process.poll() is not None or new(), driver.patience, "a late worker")
        if found is True:
            msg = f"`dask worker` ended with {process.returncode}; it printed to this program's output"
            raise RuntimeError(msg)
        yield new().pop()


@contextmanager
def _dask_worker(client: Client, directory: str) -> Iterator[subprocess.Popen[bytes]]:
    quiet = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "60"]
    quiet += ["--local-directory", directory]
    command = [sys.executable, "-P", "-m", "distributed.cli.dask_worker", address_of(client), *quiet]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(  # noqa: S603 -- a worker of the kit's
        command, env=environ | _certificates(client), stdin=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _certificates(client: Client) -> dict[str, str]:
    """Return the configuration by which a worker joins a cluster that speaks TLS."""
    security: Any = client.security
    found = {
        "CA_FILE": security.tls_ca_file,
        "WORKER__CERT": security.tls_worker_cert or security.tls_client_cert,
        "WORKER__KEY": security.tls_worker_key or security.tls_client_key,
    }
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in found.items() if value}
