"""Gather the Dask plugins that the nodes of a run need from the start."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

from daskbridge.plugins import Equipment
from daskbridge.runtime._lease import lease_plugin, own_lease
from daskbridge.settings import setting

if TYPE_CHECKING:
    from distributed import SchedulerPlugin, WorkerPlugin

    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.node.guard import RunGuard
    from daskbridge.node.logs import ForwardLogs
    from daskbridge.plugins import Run


def equipment(run: Run, code: CodeBundle | InstalledCode | None) -> Equipment:
    """Return what nodes get that were made for this run; imports distributed, so call it in a thread."""
    # first of all: another thread may be at it, and who begins with one of its modules could see it half made
    import distributed  # noqa: F401

    from daskbridge.code import CodeBundle

    scheduler: list[SchedulerPlugin] = [guard(run, exclusive=True)]
    if (lease := lease_plugin(run, own_lease(run.topology))) is not None:
        scheduler.insert(0, lease)
    workers: list[WorkerPlugin] = []
    if isinstance(code, CodeBundle):
        from daskbridge.node.code import DownloadCodeBundleWorkerPlugin
        from daskbridge.node.origin import DownloadCodeBundleSchedulerPlugin

        archive = os.fspath(code.archive)
        scheduler.append(DownloadCodeBundleSchedulerPlugin(code.reference, archive=archive))
        workers.append(DownloadCodeBundleWorkerPlugin(code.reference))
    if setting("forward-logs"):
        workers.append(forward_logs(run))
    return Equipment(tuple(scheduler), tuple(workers))


def guard(run: Run, *, exclusive: bool) -> RunGuard:
    """Return the plugin that watches who joins, and by which the driver knows its scheduler again."""
    from daskbridge.cluster._versions import mine
    from daskbridge.node.guard import RunGuard

    policy: str = setting("environment-check")
    return RunGuard(versions=mine(), policy=policy, exclusive=exclusive, alive=alive(run))


def alive(run: Run) -> str:
    """Name the operation that only the scheduler of this run knows."""
    return f"daskbridge_alive_{run.id}"


def forward_logs(run: Run) -> ForwardLogs:
    """Return the plugin that brings workers' lines to the driver, within the rate of the settings.

    They log at the level of where their lines go: the root logger's, or that of the orchestrator's.
    """
    from daskbridge.node.logs import ForwardLogs

    return ForwardLogs(
        level=(run.logger is not None and run.logger.getEffectiveLevel()) or logging.getLogger().level,
        rate=setting("log-rate"),
        burst=setting("log-burst"),
        driver=(socket.gethostname(), os.getpid()),
    )
