"""What a provisioner has to say that starts its nodes by commands: which."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from daskbridge.cluster._node import Node
from daskbridge.cluster._options import options
from daskbridge.cluster._process_cluster import ProcessCluster
from daskbridge.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daskbridge.plugins import ClusterRef, Run
    from daskbridge.topology import Dask

#: An address for commands that are only looked at.
NOWHERE = "tls://scheduler:8786"


class ProcessProvisioner:
    """Start each node by a command that stays as long as the node does; a subclass says which.

    All else is done here. Options are checked; the nodes get certificates, the lease and their configuration
    by their environment; the scheduler's address is read from its output; processes are ended, and their last
    words kept. A subclass has a ``name``, the ``options`` that it knows with their types, :meth:`command`,
    and ``capabilities`` where its commands do less or more than these.

    What a command starts elsewhere needs Dask and nothing of daskbridge. It must get the environment variable
    ``DASK_INTERNAL_INHERIT_CONFIG``, and its output must come back.

    >>> class Queue(ProcessProvisioner):
    ...     name = "queue"
    ...     options = {"partition": str}
    ...     def command(self, node, topology):
    ...         partition = self.given(topology).get("partition", "short")
    ...         return ["srun", "--partition", partition, "python", *node.arguments()]
    """

    name: str
    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    capabilities: frozenset[str] = frozenset(
        {
            "worker-groups",
            "worker-resources",
            "env",
            "threads",
            "local-directory",
            "abstract-resources",
            "dask-config",
            "max-lifetime",
        }
    )
    adapts: Mapping[str, str] = {}

    def command(self, node: Node, topology: Dask) -> Sequence[str]:  # noqa: ARG002 -- for subclasses
        """Return the words of the command that starts ``node``, by default on this machine.

        Called at definition, too, to find what is wrong with options: it looks at what is given and does
        nothing else. Raises TopologyError. Secrets don't belong into commands: others can read them.
        """
        return [sys.executable, *node.arguments("127.0.0.1")]

    def given(self, topology: Dask) -> dict[str, Any]:
        """Return the options that a topology has for this provisioner, checked. Raises TopologyError."""
        return options(topology, self.name, self.options)

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError for options that are unknown or make no command."""
        self.given(topology)
        self._words(Node("scheduler", "scheduler", topology.scheduler, protocol="tls"), topology)
        for name, group in topology.groups.items():
            self._words(Node("worker", f"{name}-0", group, NOWHERE), topology)

    async def provision(self, topology: Dask, run: Run) -> ProcessCluster:
        """Start the nodes; the scheduler is up on return, the workers are on their way."""
        return await ProcessCluster.start(self.name, lambda node: self._words(node, topology), topology, run)

    async def attach(self, ref: ClusterRef) -> ProcessCluster:
        """Refuse: the cluster ends with the process that started it; attach with ``existing``."""
        raise ref.not_ours()

    def _words(self, node: Node, topology: Dask) -> Sequence[str]:
        words = self.command(node, topology)
        if not words or isinstance(words, str) or not all(isinstance(word, str) for word in words):
            msg = f"{self.name}: {node.name} would be started by {words!r}; expected a list of words"
            raise TopologyError(msg, hint='give each word of the command by itself: ["srun", "--ntasks=1"]')
        return words
