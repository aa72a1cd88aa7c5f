"""One node of a cluster, as whoever starts it as a process needs to know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from daskbridge.cluster._fit import memory_of, threads_of
from daskbridge.topology import WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.topology import Scheduler

#: Seconds after which a worker without a scheduler gives up.
DEATH_TIMEOUT = 60


@dataclass(frozen=True)
class Node:
    """Say what is to be started: the scheduler or one worker of a group.

    ``asked`` is what the topology says of it; ``address`` is the scheduler's, for workers. ``environment``
    has what the process must get by its environment variables and not by its arguments, which others can
    read: it holds the cluster's certificates.

    >>> from daskbridge import WorkerGroup
    >>> Node("worker", "default-0", WorkerGroup(threads=2), "tls://10.0.0.1:8786").arguments()[3:6]
    ['tls://10.0.0.1:8786', '--name', 'default-0']
    """

    role: Literal["scheduler", "worker"]
    name: str
    asked: Scheduler | WorkerGroup
    address: str = ""
    protocol: str = "tcp"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def threads(self) -> int | None:
        """Return how many tasks a worker runs at once; None where the topology leaves that to Dask."""
        return threads_of(self.asked, None) if isinstance(self.asked, WorkerGroup) else None

    @property
    def memory(self) -> int | None:
        """Return a worker's memory in bytes; None where the topology leaves that to Dask."""
        return memory_of(self.asked) if isinstance(self.asked, WorkerGroup) else None

    def arguments(self, host: str = "") -> list[str]:
        """Return what follows ``python`` on the command line: Dask's own program and its arguments.

        The node listens on ``host``, by default on all interfaces of its machine.
        """
        listen = ["--host", host] if host else []
        if not isinstance(self.asked, WorkerGroup):
            dashboard = ["--port", "0", "--dashboard-address", f"{host}:0"]
            return [*_program("scheduler"), "--protocol", self.protocol, *dashboard, *listen]
        group, optional = self.asked, []
        if group.local_directory:
            optional += ["--local-directory", group.local_directory]
        if group.abstract_resources:
            amounts = (f"{name}={amount}" for name, amount in group.abstract_resources.items())
            optional += ["--resources", ",".join(amounts)]
        size = ["--nthreads", str(self.threads or 0), "--memory-limit", str(self.memory or "auto")]
        ends = ["--death-timeout", str(DEATH_TIMEOUT), "--no-dashboard"]
        return [*_program("worker"), self.address, "--name", self.name, *size, *ends, *optional, *listen]


def _program(role: str) -> list[str]:
    """Return the way to Dask's program that has nothing of the working directory on its path."""
    return ["-P", "-m", f"distributed.cli.dask_{role}"]
