"""Say which blocks share a cluster: those of one scope whose topologies are equal."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from daskbridge.errors import ScopeError, TopologyError, unknown
from daskbridge.runtime._around import unfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge.plugins import Orchestrator, Provisioner, Run
    from daskbridge.runtime._options import Options
    from daskbridge.topology import Dask

Scope = Literal["task", "flow", "process"]

#: What a cluster may belong to: one block, the blocks of a flow run, or those of this process.
SCOPES: Final = ("task", "flow", "process")


@dataclass(frozen=True)
class Share:
    """Name one shared cluster; blocks with equal shares use it together.

    ``provisioner`` is its name, or the identity of the object that was given. ``options`` say how
    the first block starts the cluster; they keep such an object alive, so that its identity is its own.
    """

    scope: str
    id: str
    topology: str
    provisioner: str | int
    options: Options = field(compare=False, repr=False)
    #: Tells whether the flow run goes on, where that can be told; the cluster ends with it.
    open: Callable[[], bool] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"flow run {self.id}" if self.scope == "flow" else f"process {self.id}"


def check_scope(scope: object) -> None:
    """Raise ValueError for an unknown scope; called at definition."""
    if scope not in SCOPES:
        raise ValueError(unknown("scope", scope, SCOPES))


def check_topology(scope: Scope, topology: Dask) -> None:
    """Raise TopologyError for a topology by which blocks can't share a cluster; called at definition."""
    if scope != "task":
        _digest(topology)


def share_of(
    options: Options, run: Run, orchestrator: Orchestrator | None, provisioner: Provisioner
) -> Share | None:
    """Return what this run shares its cluster by, or None if it has one of its own.

    Raises ScopeError for a flow run that nobody knows.
    """
    if options.scope == "task":
        return None
    by_name = options.provisioner is None or isinstance(options.provisioner, str)
    share = Share(
        options.scope,
        str(os.getpid()) if options.scope == "process" else _flow(orchestrator),
        _digest(run.topology),
        provisioner.name if by_name else id(provisioner),
        options,
        orchestrator.flow_open() if orchestrator and options.scope == "flow" else None,
    )
    # what a block brings of its own is not the cluster's; the topology goes through the plugins again
    own = replace(
        options,
        scope="task",
        provisioner=options.provisioner or provisioner.name,
        name=f"cluster of {share}",
        code=False,
        cancel=None,
        on_interrupt=None,
        entry=None,
    )
    return replace(share, options=own)


def _digest(topology: Dask) -> str:
    from daskbridge.serialization import digest

    try:
        return digest(topology)
    except TopologyError as error:
        msg = f"blocks share a cluster by their topology's document, and there is none: {error}"
        raise TopologyError(msg, hint="give names in place of objects, or use scope='task'") from error


def _flow(orchestrator: Orchestrator | None) -> str:
    hint = "use scope='process' to share within this process, or scope='task' for a cluster of its own"
    if orchestrator is None:
        msg = "scope='flow' is for a task of an orchestrator, and none was detected"
        raise ScopeError(msg, hint=hint)
    flow: object = orchestrator.flow()
    if flow is None:
        msg = (
            f"scope='flow': orchestrator {orchestrator.name!r} names no flow run to share a cluster in:"
            " its tasks run in processes of their own, or this one belongs to no flow"
        )
        raise ScopeError(msg, hint=hint)
    if not isinstance(flow, str) or not flow:
        raise unfit(orchestrator, "flow", flow)
    return flow
