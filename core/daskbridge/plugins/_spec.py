"""The hooks of daskbridge: what a plugin may implement, when each is called and in which process.

Every hook runs in the driver, the process that opens the cluster; none runs on a node. A plugin is
an import-light module named by an entry point of the group ``daskbridge``; it implements any of
these with :data:`hookimpl` and may leave out arguments that it does not use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins._orchestrator import Orchestrator
    from daskbridge.plugins._provisioner import Provisioner
    from daskbridge.plugins._types import ClusterPlugin, Run, Serializer, Target
    from daskbridge.topology import Dask

#: Grows when a hook changes in a way that an old plugin can't survive. A plugin module may state
#: what it was written for as ``DASKBRIDGE_API = ">=1,<2"``.
API_VERSION = 1

hookspec = pluggy.HookspecMarker("daskbridge")

#: Marks a function as an implementation of the hook of the same name.
hookimpl = pluggy.HookimplMarker("daskbridge")


@hookspec
def daskbridge_topology(topology: Dask, target: Target) -> Dask | None:
    """Adjust a topology before it is checked against ``target``, or return None to leave it.

    For a site's policy and an adapter's defaults. Each implementation gets what the one before it
    returned. Called once per run; an exception ends the run before anything starts.
    """


@hookspec
def daskbridge_serializers() -> Iterable[Serializer]:
    """Offer forms that a topology can be rendered to, each by its name.

    Called when a serializer is looked up by name or listed; it must not do any work.
    """
    raise NotImplementedError  # pragma: no cover -- a declaration, never called


@hookspec
def daskbridge_provisioners() -> Iterable[Provisioner]:
    """Offer ways to start or reach a cluster, each by its name.

    Called when a provisioner is looked up by name or listed; it must not start anything.
    """
    raise NotImplementedError  # pragma: no cover -- a declaration, never called


@hookspec
def daskbridge_orchestrators() -> Iterable[Orchestrator]:
    """Say how to tell that the process runs inside an orchestrator, and what that one needs.

    Called once per run. Only the orchestrator whose ``detect()`` is true is asked further.
    """
    raise NotImplementedError  # pragma: no cover -- a declaration, never called


@hookspec(firstresult=True)
def daskbridge_code_source(run: Run) -> CodeBundle | CodeSpec | InstalledCode | Literal[False] | None:
    """Say which code the nodes of this run get; None to pass.

    A bundle that exists, which is closed with the run; a spec of what to pack; an ``InstalledCode``
    of what the nodes' image has; or False for nothing. The first answer counts; the core's own
    default comes last. Called once per run, and not at all when the user said ``code=``. An
    exception ends the run before anything starts.
    """


@hookspec
def daskbridge_cluster_plugins(topology: Dask, run: Run) -> Iterable[ClusterPlugin]:
    """Offer Dask plugins to register on the cluster, in order, before the user's body runs.

    Called once per run, before anything starts. The blocks that share a cluster (``scope=``) are
    not asked: it gets its plugins with the run that starts it, and keeps them.
    """
    raise NotImplementedError  # pragma: no cover -- a declaration, never called


@hookspec
def daskbridge_step(step: str, state: str, elapsed: float, detail: str, run: Run) -> None:
    """Hear of a step of a run; what displays, audits and heartbeats are built on.

    ``step`` is one of ``check provision connect compare sync ready body close``; ``state`` is
    ``started``, ``waiting`` (told at least every 5 s while the step lasts), ``done`` or ``failed``;
    ``elapsed`` is in seconds since the step started; ``detail`` says in a few words what is waited
    for or what came out, or is empty. A ``sync`` within the body is new code for the nodes. Called on the
    core's loop thread: return at once. An exception is logged and stops neither the run nor the other
    listeners.
    """
