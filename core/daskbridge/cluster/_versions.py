"""Compare what the driver, the scheduler and every worker run, and say what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from daskbridge.errors import ONE_IMAGE, EnvironmentMismatch, comparison
from daskbridge.node.environment import breaking, comparable, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    #: A name (a package, ``python``, ``platform``) to what a process has of it; None: it should and has not.
    Facts = Mapping[str, str | None]


def mine() -> dict[str, str]:
    """Return what counts of this process's environment."""
    from distributed.versions import get_versions

    return comparable(get_versions())


@dataclass(frozen=True)
class Environments:
    """Hold what the driver, the scheduler and each worker, by its address, have."""

    driver: dict[str, str]
    scheduler: Facts = field(default_factory=dict)
    workers: Mapping[str, Facts] = field(default_factory=dict)

    @classmethod
    def reported(cls, driver: Mapping[str, str], reported: Mapping[str, Any]) -> Self:
        """Take what ``Client.get_versions`` returned: ``scheduler`` and ``workers``, by address."""
        workers = {address: comparable(versions) for address, versions in reported["workers"].items()}
        return cls(dict(driver), comparable(reported["scheduler"] or {}), workers)

    def with_distributions(
        self, driver: Mapping[str, str], scheduler: Facts, workers: Mapping[str, Facts]
    ) -> Self:
        """Add what each has of the distributions that some code imports."""
        added = {address: {**workers.get(address, {}), **facts} for address, facts in self.workers.items()}
        return type(self)({**self.driver, **driver, **self.driver}, {**scheduler, **self.scheduler}, added)

    @cached_property
    def differing(self) -> list[str]:
        """Name what some node has otherwise, in the order of the driver's facts."""
        found = {name for node in self._nodes for name in differences(self.driver, node)}
        return [name for name in self.driver if name in found]

    @cached_property
    def breaking(self) -> list[str]:
        """Name what of it breaks pickling."""
        found = {name for node in self._nodes for name in breaking(differences(self.driver, node))}
        return [name for name in self.differing if name in found]

    @property
    def names(self) -> list[str]:
        """Name all that somebody has: the driver's facts first."""
        return list(dict.fromkeys(name for facts in (self.driver, *self._nodes) for name in facts))

    def table(self, names: Iterable[str], marks: Mapping[str, str] | None = None) -> str:
        """Word what everybody has of some names."""
        return comparison("package", names, (self.driver, *self._nodes), marks)

    def refusal(self) -> EnvironmentMismatch | None:
        """Return an error with the table of what breaks pickling, or None."""
        if not self.breaking:
            return None
        table = self.table(self.breaking)
        msg = f"the nodes' environment differs in what breaks pickling\n{table}"
        return EnvironmentMismatch(msg, hint=ONE_IMAGE)

    def warning(self) -> str | None:
        """Word all that differs, or return None."""
        if not self.differing:
            return None
        what = f" (breaks pickling: {', '.join(self.breaking)})" if self.breaking else ""
        return f"the nodes' environment differs from the driver's{what}\n{self.table(self.differing)}"

    @property
    def _nodes(self) -> tuple[Facts, ...]:
        return (self.scheduler, *self.workers.values())
