"""The driver's handle on a cluster each of whose nodes is started by a command."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from daskbridge._threads import in_thread
from daskbridge.cluster._node import Node
from daskbridge.cluster._node_process import NodeProcess, all_ended, end
from daskbridge.cluster._process_environment import ADDRESS, environments
from daskbridge.errors import ProvisioningError
from daskbridge.plugins._provisioner import ClusterRef
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from distributed import Security

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask

    Command = Callable[[Node], Sequence[str]]

logger = logging.getLogger("daskbridge")

#: Seconds for the scheduler to end the cluster.
ASKED = 5.0
#: Seconds that a retired worker has to hand over its data.
LEAVE = 30.0
#: Seconds between two looks at what a scheduler has printed.
LOOK = 0.02
HINT = "try the command that starts it in a shell; it must stay as long as its node does"
#: Where a scheduler says that it can be reached.
_PRINTED = re.compile(rf"{ADDRESS}\s+(\w+://\S+)")


class ProcessCluster:
    """Hold a scheduler and workers, each the affair of one process of this machine that stays with it.

    Such a process may be the node itself, or what starts it elsewhere and waits: ``ssh``, ``srun``,
    ``kubectl exec``. Its scheduler has its lease from the start, and ends the cluster when it is asked to;
    what is there after that gets SIGTERM, then SIGKILL. A worker that ends is a warning, the last one the
    end of the cluster.
    """

    ref: ClusterRef
    notes: tuple[str, ...] = ()

    def __init__(self, command: Command, topology: Dask, security: Security | None) -> None:
        self.security = security
        self._command = command
        self._topology = topology
        self._scheduler: NodeProcess
        self._environment: Mapping[str, str]
        self._workers: dict[str, list[NodeProcess]] = {name: [] for name in topology.groups}
        #: Those that are asked to end while the others stay.
        self._leaving: list[NodeProcess] = []
        self._wanted: dict[str, int] = {}
        self._numbers = dict.fromkeys(topology.groups, 0)
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, kind: str, command: Command, topology: Dask, run: Run) -> Self:
        """Start all nodes and wait for the scheduler. Raises ProvisioningError; then nothing is left.

        ``kind`` is the provisioner's name; ``command`` returns what starts a node.
        """
        cluster = cls(command, topology, await in_thread(_certificates) if setting("tls") else None)
        try:
            await cluster._start(kind, run)
        except BaseException:
            await asyncio.shield(cluster.close("failed to start"))
            raise
        return cluster

    async def scale(self, group: str, number: int) -> None:
        """Start or end workers of one group; data of those that end moves to the others."""
        if group not in self._workers:
            msg = f"there is no worker group {group!r}; there are: {', '.join(sorted(self._workers))}"
            raise ProvisioningError(msg)
        self._wanted[group] = number
        await self.recall()
        leaving, self._workers[group] = self._workers[group][number:], self._workers[group][:number]
        self._leaving += leaving
        if leaving:
            await self._retire([worker.node.name for worker in leaving])
            await all_ended(leaving, ASKED)
            await end(leaving)
            self._leaving = [worker for worker in self._leaving if worker.alive]

    async def recall(self) -> None:
        """Start as many workers as are missing."""
        for group, wanted in self._wanted.items():
            there = [worker for worker in self._workers[group] if worker.alive]
            missing = range(wanted - len(there))
            self._workers[group] = [*there, *(self._started(group) for _ in missing)]

    async def failure(self) -> str | None:
        """Say how the scheduler ended, or how the last worker did."""
        if not self._scheduler.alive:
            return f"the {self._scheduler.end_in_words}"
        workers = [worker for group in self._workers.values() for worker in group]
        if workers and not any(worker.alive for worker in workers):
            return f"no worker is left: {workers[-1].end_in_words}"
        return None

    async def logs(self) -> Mapping[str, str]:
        """Return the last lines of each process's output, by the node's name."""
        return {process.node.name: "\n".join(process.output.lines) for process in self._processes()}

    async def close(self, reason: str = "") -> None:  # noqa: ARG002 -- the contract's signature
        """Ask the scheduler to end the cluster, then end what is left."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def request_close(self) -> None:
        """Send SIGTERM to all processes."""
        for process in self._processes():
            process.signal(signal.SIGTERM)

    async def _retire(self, names: list[str]) -> None:
        """Let workers hand over their data and end, for as long as that is given."""
        try:
            async with asyncio.timeout(LEAVE), self._asking() as scheduler:
                await scheduler.retire_workers(names=names)
        except TimeoutError:
            told = "%s did not hand over their data within %.0f s, and end without"
            logger.warning(told, ", ".join(names), LEAVE)

    async def _start(self, kind: str, run: Run) -> None:
        topology, security = self._topology, self.security
        ours, self._environment = await in_thread(lambda: environments(topology, security, run.equipment))
        self._scheduler = self._run(
            Node(
                "scheduler",
                "scheduler",
                topology.scheduler,
                protocol="tls" if security else "tcp",
                environment={**ours, **topology.scheduler.env},
            )
        )
        run.tell("waiting for the scheduler's process to print its address")
        address = await self._printed()
        owner = f"process {os.getpid()}, by the processes that it started"
        self.ref = ClusterRef(kind=kind, name=run.id, scheduler_address=address, owner=owner)
        self._wanted = {name: group.number_of_workers or 1 for name, group in topology.groups.items()}
        await self.recall()

    async def _printed(self) -> str:
        """Return the address that the scheduler prints; the start has a bound."""
        while True:
            alive = self._scheduler.alive
            for line in self._scheduler.output.lines:
                if found := _PRINTED.search(line):
                    return found[1]
            if not alive:
                raise ProvisioningError(f"the {self._scheduler.end_in_words}", hint=HINT)
            await asyncio.sleep(LOOK)

    def _started(self, group: str) -> NodeProcess:
        number, asked = self._numbers[group], self._topology.groups[group]
        self._numbers[group] += 1
        return self._run(
            Node(
                "worker",
                f"{group}-{number}",
                asked,
                self.ref.scheduler_address,
                environment={**self._environment, **asked.env},
            )
        )

    def _run(self, node: Node) -> NodeProcess:
        return NodeProcess(node, self._command(node), self._ended)

    def _ended(self, process: NodeProcess) -> None:
        """Say so where a worker ends that should not."""
        wanted = any(process in group for group in self._workers.values())
        if wanted and self._closing is None and self._scheduler.alive:
            logger.warning("%s", process.end_in_words)

    def _processes(self) -> list[NodeProcess]:
        scheduler = [self._scheduler] if hasattr(self, "_scheduler") else []
        return [*scheduler, *(worker for group in self._workers.values() for worker in group), *self._leaving]

    def _asking(self) -> Any:  # noqa: ANN401 -- distributed's rpc is not typed
        """Return a connection by which the scheduler is asked for something."""
        from distributed.core import rpc

        arguments = self.security.get_connection_args("client") if self.security else None
        return rpc(self.ref.scheduler_address, connection_args=arguments)

    async def _close(self) -> None:
        processes = self._processes()
        if hasattr(self, "ref") and self._scheduler.alive:
            with suppress(OSError):  # it can't be asked, or does not answer in time: then by signals
                async with asyncio.timeout(ASKED), self._asking() as scheduler:
                    await scheduler.terminate()
            await all_ended(processes, ASKED)
        await end(processes)


def _certificates() -> Security:
    from distributed import Security

    made: Security = Security.temporary()
    return made
