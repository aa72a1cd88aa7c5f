"""The first step of a run: what can be found wrong before anything starts, and the code, packed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daskbridge.plugins import plugins
from daskbridge.runtime._code import bundle_for
from daskbridge.serialization import check

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle
    from daskbridge.plugins import ClusterPlugin, Orchestrator, Provisioner, Run
    from daskbridge.runtime._options import Options


@dataclass(frozen=True)
class Checked:
    """Hold what the check found; :meth:`drop` removes what it packed."""

    provisioner: Provisioner
    orchestrator: Orchestrator | None
    notes: tuple[str, ...]
    cluster_plugins: list[ClusterPlugin]
    bundle: CodeBundle | None
    _packed: ExitStack = field(repr=False)

    @property
    def told(self) -> str:
        """Say which code ships."""
        if self.bundle is None:
            return "no code"
        roots = ", ".join(map(str, self.bundle.roots))
        return f"{self.bundle.files} files of {roots} ({self.bundle.size / 1024:.0f} KiB packed)"

    def drop(self) -> None:
        """Remove what was packed; a bundle that was given stays its owner's."""
        self._packed.close()


def check_run(options: Options, run: Run) -> Checked:
    """Ask the plugins, check the topology against its target, pack the code; blocks, starts nothing.

    Fills in what ``run`` did not know. Raises a DaskbridgeError that says what is wrong.
    """
    orchestrator = plugins().orchestrator()
    if orchestrator is not None:
        run.orchestrator, run.code_root = orchestrator.name, orchestrator.code_root()
        run.name = options.name or orchestrator.identity() or run.name
    provisioner = options.resolve()
    run.provisioner = provisioner.name
    run.topology = plugins().topology(options.topology, provisioner)
    notes = check(run.topology, provisioner)
    provisioner.validate(run.topology)
    cluster_plugins = plugins().cluster_plugins(run.topology, run)
    with ExitStack() as packed:
        bundle = bundle_for(options, run, packed)
        return Checked(provisioner, orchestrator, notes, cluster_plugins, bundle, packed.pop_all())
