"""What a provisioner gives and what it promises: the seam between a run and its cluster."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from daskbridge.errors import ProvisioningError, unknown
from daskbridge.plugins._types import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask


#: Where Dask's scheduler serves its dashboard unless told otherwise.
DASHBOARD_PORT: Final = 8787


@dataclass(frozen=True)
class ClusterRef:
    """Say where a cluster is, so that another process can attach to it.

    ``kind`` is the provisioner's name. An ``exclusive`` cluster was made for one run: only there
    may workers be closed and plugins stay. A ``supervised`` one is the affair of a platform, which
    restarts its scheduler and ends the cluster by itself. ``owner`` says who ends it, in words.

    >>> ref = ClusterRef("existing", "lab", "tcp://10.0.0.1:8786", exclusive=False)
    >>> ClusterRef.from_json(ref.to_json()) == ref
    True
    """

    kind: str
    name: str
    scheduler_address: str
    dashboard_link: str | None = None
    exclusive: bool = True
    owner: str = ""
    supervised: bool = False

    def to_json(self) -> str:
        """Return the reference as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def dashboard(self) -> str:
        """Say how a person reaches Dask's dashboard, once the scheduler is known to have one.

        An address that only a Kubernetes cluster resolves comes with the command that forwards it.

        >>> print(ClusterRef("lab", "a", "tcp://10.0.0.1:8786", "http://10.0.0.1:8787/status").dashboard)
        dashboard: http://10.0.0.1:8787/status
        >>> print(ClusterRef("lab", "a", "tcp://10.0.0.1:8786").dashboard)
        no dashboard: the scheduler's environment has no bokeh
        >>> link = "http://a1-scheduler.jobs.svc.cluster.local:8787/status"
        >>> print(ClusterRef("lab", "a", "tcp://a1-scheduler.jobs.svc.cluster.local:8786", link).dashboard)
        dashboard: ... kubectl --namespace jobs port-forward service/a1-scheduler 8787, then ...
        """
        if self.dashboard_link is None:
            return "no dashboard: the scheduler's environment has no bokeh"
        parts = urlsplit(self.dashboard_link)
        labels = (parts.hostname or "").split(".")
        if labels[2:3] != ["svc"]:
            return f"dashboard: {self.dashboard_link}"
        port = parts.port or DASHBOARD_PORT
        forward = f"kubectl --namespace {labels[1]} port-forward service/{labels[0]} {port}"
        outside = f"{forward}, then {parts.scheme}://localhost:{port}{parts.path}"
        return f"dashboard: {self.dashboard_link} within its cluster; from outside: {outside}"

    def not_ours(self) -> ProvisioningError:
        """Word the refusal of a provisioner whose clusters end with the process that started them."""
        msg = f"cluster {self.name!r} belongs to another process"
        hint = f"use provisioner 'existing' with the address {self.scheduler_address}"
        return ProvisioningError(msg, hint=hint)

    @classmethod
    def from_json(cls, text: str) -> ClusterRef:
        """Read what :meth:`to_json` wrote. Raises ProvisioningError for anything else."""
        try:
            values = json.loads(text)
            known = [field.name for field in fields(cls)]
            for key in values:
                if key not in known:
                    raise ProvisioningError(unknown("key of a cluster reference", key, known))
            return cls(**values)
        except (ValueError, TypeError) as error:
            msg = f"not a cluster reference: {text[:200]!r} ({error})"
            raise ProvisioningError(msg, hint="pass what ClusterRef.to_json() returned") from error


@runtime_checkable
class ClusterHandle(Protocol):
    """Hold one cluster that a provisioner started or attached to; its methods run on the core's loop.

    ``notes`` say what was started otherwise than asked, one sentence each; ``security`` is the
    ``distributed.Security`` that a client needs to connect, or None. A handle may have ``equipped``: true
    where the nodes were started with ``run.equipment`` and in the driver's own environment, so that there is
    nothing to register and to compare. It may have coroutines for the time after the workers got new code:
    ``renew(equipment)`` ends all workers and starts as many, which have that from their start; without it,
    nannies do. ``recall()`` has those started that were there and are missing.
    """

    ref: ClusterRef
    notes: tuple[str, ...]

    @property
    def security(self) -> object | None: ...

    async def scale(self, group: str, number: int) -> None:
        """Bring a worker group to ``number`` workers. Raises ProvisioningError where that can't be."""

    async def failure(self) -> str | None:
        """Say what ended or can't start, with its last words, or None while nothing is known to be wrong."""

    async def logs(self) -> Mapping[str, str]:
        """Return the last lines of each process's output, by the process's name."""

    async def close(self, reason: str = "") -> None:
        """End every process of the cluster and return when they are gone; a second call does nothing."""

    def request_close(self) -> None:
        """Ask for the end from a signal handler or another thread: return at once, wait for nothing."""


@runtime_checkable
class Provisioner(Target, Protocol):
    """Start a cluster for a topology, or attach to one; a target that topologies are checked against.

    Worker names tell the group: ``<group>-<number>``, the first group being ``default``. Only
    provisioners with the capability ``worker-groups`` need to keep to that. One may also have a method
    ``warm(topology)``: it is called as soon as a block is entered, to begin what takes long and to import
    what will be needed; it waits for nothing else.
    """

    def validate(self, topology: Dask) -> None:
        """Raise TopologyError if a value given to this provisioner is wrong; start nothing.

        Called at definition, so wherever a module with a decorated function is imported, nodes
        included: look at what was given only. Files, the environment, Dask's configuration and
        what can be imported belong to ``provision``.
        """

    async def provision(self, topology: Dask, run: Run) -> ClusterHandle:
        """Start the scheduler, begin to start the workers, and return; don't wait for the workers.

        Cancelled or failing, it leaves nothing behind. Raises ProvisioningError; before anything
        starts, if what it needs of this process's environment is not there.
        """
        raise NotImplementedError

    async def attach(self, ref: ClusterRef) -> ClusterHandle:
        """Return a handle on a cluster that runs already. Raises ProvisioningError."""
        raise NotImplementedError
