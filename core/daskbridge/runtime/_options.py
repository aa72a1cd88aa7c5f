"""What a run is given, checked as far as it can be before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from daskbridge.errors import ProvisioningError
from daskbridge.runtime._scope import check_scope, check_topology
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import Provisioner
    from daskbridge.runtime._scope import Scope
    from daskbridge.topology import Dask


class Event(Protocol):
    """Name what is used of a cancel event, be it of ``threading``, of ``asyncio`` or another."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Options:
    """Carry the arguments of :func:`~daskbridge.transient`, which documents them.

    ``entry`` names the module of a decorated function: nodes must be able to import it. ``title`` is the
    run's name where neither the user nor an orchestrator has one. With ``by_call`` the topology is still
    to be made of a call's arguments, and is not looked at.
    """

    topology: Dask
    provisioner: str | Provisioner | None = None
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None = None
    cancel: Event | None = None
    name: str = ""
    on_interrupt: Callable[[], None] | None = None
    entry: str | None = None
    asynchronous: bool | None = None
    scope: Scope = "task"
    by_call: bool = False
    title: str = "run"

    def __post_init__(self) -> None:
        from daskbridge.serialization import check, topology_from

        if not self.by_call:
            object.__setattr__(self, "topology", topology_from(self.topology))
        is_event = callable(getattr(self.cancel, "is_set", None))
        _refuse(self.cancel, self.cancel is None or is_event, "cancel", "an event such as threading.Event()")
        _refuse(self.name, isinstance(self.name, str), "name", "a string")
        _refuse(self.scope, isinstance(self.scope, str), "scope", "'task', 'flow' or 'process'")
        check_scope(self.scope)
        if self.by_call:
            return
        check_topology(self.scope, self.topology)
        if not (self.provisioner is None and in_kubernetes()):
            provisioner = self.resolve()
            check(self.topology, provisioner)
            provisioner.validate(self.topology)

    def warm(self) -> None:
        """Let a provisioner that can begin what takes long, before this process begins its own imports."""
        warm: Callable[[Dask], None] | None = getattr(self.resolve(), "warm", None)
        if warm is not None:
            warm(self.topology)

    def resolve(self) -> Provisioner:
        """Return the provisioner; start nothing.

        Raises PluginError for an unknown name, and ProvisioningError where ``local`` would be
        chosen silently inside a Kubernetes pod.
        """
        from daskbridge.plugins import Provisioner, plugins

        given = self.provisioner
        if given is not None and not isinstance(given, str):
            value: object = given
            fits = isinstance(value, Provisioner) and not isinstance(value, type)
            _refuse(value, fits, "provisioner", "a name, or an object such as Existing(address)")
            return given
        name: Any = given or setting("provisioner")
        if name is None and in_kubernetes():
            known = ", ".join(plugins().names("daskbridge_provisioners"))
            msg = "inside a Kubernetes pod a local cluster would be confined to this pod"
            hint = f"name the one that you mean: provisioner= one of {known}, or set daskbridge.provisioner"
            raise ProvisioningError(msg, hint=hint)
        return plugins().provisioner(name or "local")


def _refuse(given: object, fits: bool, argument: str, expected: str) -> None:  # noqa: FBT001 -- of this module
    if not fits:
        kind = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        msg = f"{argument} is {kind}; expected {expected}"
        raise TypeError(msg)


def in_kubernetes() -> bool:
    """Tell whether this process runs in a Kubernetes pod (the kubelet sets the variable)."""
    return "KUBERNETES_SERVICE_HOST" in os.environ
