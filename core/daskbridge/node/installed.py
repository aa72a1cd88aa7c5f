"""Compare the code that a node's image brings with the driver's, without importing any of it."""

from __future__ import annotations

import asyncio
import importlib.util
from hashlib import sha256
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from . import Travels
from .guard import TOPIC

if TYPE_CHECKING:
    from distributed import Scheduler, Worker

NAME = "daskbridge-installed"
#: What stands in the place of a digest where there is none.
MISSING, UNREADABLE = "missing", "unreadable"
_SHOWN = 5


def locate(module: str) -> str | None:
    """Return the file that an import of ``module`` would read; None if there is none.

    Imports nothing, parents neither: each step looks where the one before says that its parts are.
    """
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # it is loaded, and does not say from where
        return None
    for part in below:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # by its last name alone: nested namespaces ask for their parent's module
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec.origin if spec else None


def digest(file: str | None) -> str:
    """Return the sha256 of a module's file, or why there is none."""
    if file is None:
        return MISSING
    try:
        with open(file, "rb") as source:
            return sha256(source.read()).hexdigest()
    except OSError:
        return UNREADABLE


def differing(expected: dict[str, str]) -> dict[str, str]:
    """Return what this process has of the modules that it has not as ``expected``; reads every file."""
    found = {module: digest(locate(module)) for module in expected}
    return {module: have for module, have in found.items() if have != expected[module]}


def brief(text: str) -> str:
    """Shorten a digest for people."""
    return text[:12]


class InstalledCodeSchedulerPlugin(Travels, SchedulerPlugin):
    """Know which modules each node has otherwise than the driver, and turn away who comes too late.

    ``expected`` maps a module to the digest of the driver's file. Until the driver has taken the
    first answers of all nodes, it decides; from then on a worker that differs is told in an event,
    and with ``strict`` it has to go. ``key`` keeps the comparisons of several drivers apart.
    """

    idempotent = False

    def __init__(self, expected: dict[str, str], *, key: str, strict: bool) -> None:
        self.name = f"{NAME}-{key}"
        self.expected = expected
        self.strict = strict

    async def start(self, scheduler: Scheduler) -> None:
        """Compare the scheduler's own modules and answer from now on."""
        self.scheduler = scheduler
        self.taken = False
        self.scheduler_differs = await asyncio.to_thread(differing, self.expected)
        self.workers: dict[str, dict[str, str]] = {}
        self.refused: dict[str, dict[str, str]] = {}
        for verb in ("report", "status", "leave"):
            scheduler.handlers[f"{self.name}-{verb}"] = getattr(self, verb)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_: Any) -> None:  # noqa: ANN401, ARG002 -- Dask's signature
        """Forget what a worker had that left."""
        self.workers.pop(worker, None)

    async def report(self, address: str, name: str, differs: dict[str, str]) -> bool:
        """Note what a worker has otherwise; return whether it may stay."""
        refused = self.taken and self.strict and bool(differs)
        if differs and self.taken:
            shown = sorted(differs)[:_SHOWN]
            told = {f"module {each}": (brief(self.expected[each]), brief(differs[each])) for each in shown}
            kind = "worker-refused" if refused else "worker-differs"
            self.scheduler.log_event(TOPIC, {"kind": kind, "address": address, "name": name, "differs": told})
        if refused:
            self.refused[name] = differs  # a platform starts it again and again, each time at a new address
        else:
            self.workers[address] = differs
        return not refused

    async def status(self) -> dict[str, Any]:
        """Return what each node has otherwise, and which workers have not told yet."""
        missing = [address for address in self.scheduler.workers if address not in self.workers]
        self.taken = self.taken or not missing
        nodes = [self.scheduler_differs, *self.workers.values(), *self.refused.values()]
        return {
            "expected": {module: self.expected[module] for differs in nodes for module in differs},
            "scheduler": self.scheduler_differs,
            "workers": self.workers,
            "refused": self.refused,
            "missing": missing,
        }

    async def leave(self) -> None:
        """Leave the cluster as if nothing had been compared."""
        for verb in ("report", "status", "leave"):
            del self.scheduler.handlers[f"{self.name}-{verb}"]
        self.scheduler.remove_plugin(self.name)
        if self.name in self.scheduler.worker_plugins:
            await self.scheduler.unregister_worker_plugin(None, self.name)


class InstalledCodeWorkerPlugin(Travels, WorkerPlugin):
    """Compare a worker's modules before it serves; with ``strict``, end one that may not or can't tell."""

    idempotent = False

    def __init__(self, expected: dict[str, str], *, key: str, strict: bool) -> None:
        self.name = f"{NAME}-{key}"
        self.expected = expected
        self.strict = strict

    async def setup(self, worker: Worker) -> None:
        """Compare and report; runs before the worker takes a task."""
        stay = False
        try:
            found = await asyncio.to_thread(differing, self.expected)
            report = getattr(worker.scheduler, f"{self.name}-report")
            stay = await report(address=worker.address, name=str(worker.name), differs=found)
        finally:
            if self.strict and not stay:
                # as in code.py: Dask would let it run tasks
                reason = "its installed code differs from the driver's, or could not be compared"
                self.closing = asyncio.ensure_future(worker.close(nanny=True, reason=reason))
