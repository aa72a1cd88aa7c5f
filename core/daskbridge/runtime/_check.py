"""The first step of a run: what can be found wrong before anything starts, and the code, packed."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daskbridge.plugins import plugins
from daskbridge.runtime._around import unfit
from daskbridge.runtime._code import code_for, source_of, warned
from daskbridge.runtime._scope import share_of
from daskbridge.serialization import check

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import ClusterPlugin, Orchestrator, Provisioner, Run
    from daskbridge.plugins._types import Logs
    from daskbridge.runtime._options import Options
    from daskbridge.runtime._scope import Share


@dataclass(frozen=True)
class Checked:
    """Hold what the check found; :meth:`drop` removes what it packed."""

    provisioner: Provisioner
    notes: tuple[str, ...]
    cluster_plugins: list[ClusterPlugin]
    source: CodeSpec | CodeBundle | InstalledCode | None
    code: CodeBundle | InstalledCode | None
    share: Share | None
    warnings: tuple[str, ...]
    _packed: ExitStack = field(repr=False)

    @property
    def told(self) -> str:
        """Say which code the nodes get."""
        from daskbridge.code import InstalledCode

        if self.code is None:
            return "no code"
        if isinstance(self.code, InstalledCode):
            return f"the code of {', '.join(self.code.modules)} in the nodes' image"
        roots = ", ".join(map(str, self.code.roots))
        return f"{self.code.files} files of {roots} ({self.code.size / 1024:.0f} KiB packed)"

    def drop(self) -> None:
        """Remove what was packed; a bundle that the user gave stays theirs."""
        self._packed.close()


def check_run(options: Options, run: Run, orchestrator: Orchestrator | None) -> Checked:
    """Ask the plugins, check the topology against its target, pack the code; blocks, starts nothing.

    Fills in what ``run`` did not know. Raises a DaskbridgeError that says what is wrong.
    """
    from daskbridge.code import CodeBundle
    from daskbridge.code._limits import refuse_directory

    run.entry = options.entry
    if orchestrator is not None:
        run.orchestrator, run.code_root = orchestrator.name, orchestrator.code_root()
        run.name = options.name or _identity(orchestrator) or run.name
        run.logger = _logger(orchestrator, run)
    provisioner = options.resolve()
    run.provisioner = provisioner.name
    run.topology = plugins().topology(options.topology, provisioner)
    notes = check(run.topology, provisioner)
    provisioner.validate(run.topology)
    share = share_of(options, run, orchestrator, provisioner)
    # a shared cluster gets its plugins when it starts, and keeps them while anybody uses it
    cluster_plugins = [] if share else plugins().cluster_plugins(run.topology, run)
    with ExitStack() as packed:
        source = source_of(options, run, orchestrator)
        code = code_for(source, options, packed, run.tell)
        if share is not None and isinstance(code, CodeBundle):
            refuse_directory(code)
        return Checked(
            provisioner,
            notes,
            cluster_plugins,
            source,
            code,
            share,
            warned(code),
            packed.pop_all(),
        )


def _logger(orchestrator: Orchestrator, run: Run) -> Logs | None:
    logger: object = orchestrator.logger(run)
    if logger is None or isinstance(logger, logging.Logger | logging.LoggerAdapter):
        return logger
    raise unfit(orchestrator, "logger", logger, "a logging.Logger, an adapter of one, or None")


def _identity(orchestrator: Orchestrator) -> str | None:
    name: object = orchestrator.identity()
    if name is None or isinstance(name, str):
        return name
    raise unfit(orchestrator, "identity", name)
