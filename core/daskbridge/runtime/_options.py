"""What a run is given, checked as far as it can be before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from daskbridge.errors import ProvisioningError
from daskbridge.settings import setting

if TYPE_CHECKING:
    from pathlib import Path

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.topology import Dask


class Event(Protocol):
    """Name what is used of a cancel event, be it of ``threading``, of ``asyncio`` or another."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Options:
    """Carry the arguments of :func:`~daskbridge.transient`, which documents them.

    ``entry`` names the module of a decorated function: nodes must be able to import it.
    """

    topology: Dask
    provisioner: str | Provisioner | None = None
    code: bool | str | Path | CodeSpec | CodeBundle | None = None
    cancel: Event | None = None
    name: str = ""
    entry: str | None = None

    def __post_init__(self) -> None:
        from daskbridge.topology import Dask

        given: object = self.topology
        if not isinstance(given, Dask):
            msg = (
                f"a topology is needed, got {given!r}; expected daskbridge.Dask(...) or daskbridge.load(path)"
            )
            raise TypeError(msg)
        if not (self.provisioner is None and in_kubernetes()):
            self.target()

    def target(self) -> Provisioner:
        """Return the provisioner, the topology checked against it; start nothing.

        Raises UnsupportedByTarget, TopologyError or PluginError, and ProvisioningError where
        ``local`` would be chosen silently inside a Kubernetes pod.
        """
        from daskbridge.serialization import check

        provisioner = self._resolve()
        check(self.topology, provisioner)
        provisioner.validate(self.topology)
        return provisioner

    def _resolve(self) -> Provisioner:
        from daskbridge.plugins import plugins

        if self.provisioner is not None and not isinstance(self.provisioner, str):
            return self.provisioner
        name: Any = self.provisioner or setting("provisioner")
        if name is None and in_kubernetes():
            known = ", ".join(plugins().names("daskbridge_provisioners"))
            msg = "inside a Kubernetes pod a local cluster would be confined to this pod"
            hint = f"name the one that you mean: provisioner= one of {known}, or set daskbridge.provisioner"
            raise ProvisioningError(msg, hint=hint)
        return plugins().provisioner(name or "local")


def in_kubernetes() -> bool:
    """Tell whether this process runs in a Kubernetes pod (the kubelet sets the variable)."""
    return "KUBERNETES_SERVICE_HOST" in os.environ
