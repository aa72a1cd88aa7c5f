"""Compare the nodes' environment with the driver's: of those who are there, and of those who come."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daskbridge.cluster._versions import Environments, Facts
    from daskbridge.code import CodeBundle, InstalledCode
    from daskbridge.code._distributions import Imported
    from daskbridge.runtime._connection import Connection

logger = logging.getLogger("daskbridge")

#: Seconds in which nodes that are there, and late ones, should say which distributions they have.
PATIENCE, LATE_PATIENCE = 5.0, 60.0


class Environment:
    """Ask the nodes of one cluster what they have; on the core's loop.

    What breaks pickling the scheduler's guard compares before a late worker serves. The
    distributions that the code imports are a warning at most: late workers are asked for them once
    they have joined.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: Tells of late workers; silent where another connection does.
        self.log: Callable[..., None] = logger.log
        self._imported: Imported | None = None
        self._late: set[str] = set()
        self._asking: asyncio.Task[None] | None = None
        self._told: set[tuple[str, str | None]] = set()

    async def compare(
        self, driver: Mapping[str, str], policy: str, code: CodeBundle | InstalledCode | None
    ) -> None:
        """Compare the nodes that are there; log a table of what differs.

        Raises EnvironmentMismatch with it if that breaks pickling and the policy is "error".
        """
        from daskbridge.cluster._versions import Environments
        from daskbridge.node.environment import differences

        imported, reported = await asyncio.gather(
            in_thread(lambda: imported_by(code)), self._connection.client.get_versions()
        )
        found = Environments.reported(driver, reported)
        if policy == "error" and (refusal := found.refusal()):
            raise refusal
        if imported.versions:
            self._imported = imported
            found = await self._with_distributions(found, imported)
        if warning := found.warning():
            logger.warning("%s", warning)
        for facts in found.workers.values():
            self._news(differences(found.driver, facts))

    def joined(self, address: str) -> None:
        """Ask a late worker, too."""
        if self._imported is None:
            return
        self._late.add(address)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask_late(self._imported))

    def differs(self, name: str, differing: Mapping[str, tuple[str, str | None]]) -> None:
        """Warn of a late worker; of many that differ in the same, once."""
        level = logging.WARNING if self._news(differing) else logging.INFO
        self.log(level, "the environment of worker %s differs: %s", name, in_words(differing))

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def _news(self, differing: Mapping[str, tuple[str, str | None]]) -> bool:
        """Tell whether some of this was not told of any worker yet."""
        before = len(self._told)
        self._told |= {(name, theirs) for name, (_, theirs) in differing.items()}
        return len(self._told) > before

    async def _with_distributions(self, found: Environments, imported: Imported) -> Environments:
        from daskbridge.node.questions import Distributions

        client, question = self._connection.client, Distributions(imported.modules)
        try:
            async with asyncio.timeout(PATIENCE):
                scheduler, workers = await asyncio.gather(
                    client.run_on_scheduler(question), client.run(question, on_error="ignore")
                )
        except Exception as error:  # noqa: BLE001 -- what would only be a warning must not end the run
            why = str(error) or f"no answer within {PATIENCE:g} s"
            logger.warning("the nodes could not be asked for what the code imports: %s", why)
            return found
        return found.with_distributions(imported.versions, scheduler, workers)

    async def _ask_late(self, imported: Imported) -> None:
        from daskbridge.node.environment import differences
        from daskbridge.node.questions import Distributions

        client, question = self._connection.client, Distributions(imported.modules)
        while self._late:
            addresses, self._late = sorted(self._late), set()
            answers: dict[str, Facts] = {}
            try:
                async with asyncio.timeout(LATE_PATIENCE):
                    answers = await client.run(question, workers=addresses, on_error="ignore")
            except (OSError, TimeoutError) as error:  # the scheduler is lost, or a worker hangs: others tell
                logger.info("late workers could not be asked for what the code imports: %r", error)
            for address, facts in answers.items():
                if differing := differences(imported.versions, facts):
                    self.differs(self._connection.arrivals.names.get(address, address), differing)


def imported_by(code: CodeBundle | InstalledCode | None) -> Imported:
    """Return the distributions that the files of a bundle import and nodes need; blocks."""
    from daskbridge.code import CodeBundle
    from daskbridge.code._distributions import Imported, imported_distributions
    from daskbridge.plugins import plugins

    if not isinstance(code, CodeBundle):
        return Imported()
    imported = imported_distributions(code.selection)
    return imported.without(plugins().driver_only()) if imported.versions else imported


def in_words(differing: Mapping[str, tuple[str, str | None]]) -> str:
    """Word differences.

    >>> in_words({"dask": ("2026.8.0", "2025.1.0"), "PyYAML": ("6.0", None)})
    'dask 2025.1.0 (driver 2026.8.0), PyYAML is missing (driver 6.0)'
    """
    return ", ".join(
        f"{name} {theirs or 'is missing'} (driver {mine})" for name, (mine, theirs) in differing.items()
    )
