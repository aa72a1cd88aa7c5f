"""Clusters whose nodes are started by commands of the user's, such as ``srun`` or ``docker run``."""

from __future__ import annotations

from daskbridge import Dask
from daskbridge.cluster import Node, ProcessProvisioner
from daskbridge.errors import TopologyError
from daskbridge.plugins import hookimpl


class Command(ProcessProvisioner):
    """Fill in templates, which are lists of words; by default, Dask's own commands on this machine."""

    name = "command"
    options = {"scheduler": list, "worker": list}

    def command(self, node: Node, topology: Dask) -> list[str]:
        """Return the words that start a node. Raises TopologyError for a placeholder without a value."""
        template = self.given(topology).get(node.role, ["{here}"])
        known = {"name": node.name, "address": node.address, "threads": node.threads, "memory": node.memory}
        values = {name: value for name, value in known.items() if value}
        several = {"{dask}": node.arguments(), "{here}": super().command(node, topology)}
        words: list[str] = []
        for word in template:
            try:
                words += several.get(word) or [word.format_map(values)]
            except (LookupError, ValueError, AttributeError) as error:
                msg = f"provisioner_options.command.{node.role}: {word!r} has no value ({error!r})"
                raise TopologyError(msg, hint=f"known: {', '.join([*several, *values])}") from error
        return words


@hookimpl
def daskbridge_provisioners() -> list[Command]:
    """Offer the provisioner ``command``."""
    return [Command()]
