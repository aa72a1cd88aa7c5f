"""The whole cluster."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 -- annotations resolve at run time
from dataclasses import dataclass, field
from typing import Any, Optional

from daskbridge.topology._kinds import Count, Seconds
from daskbridge.topology._mappings import DaskConfig, Options
from daskbridge.topology._nested import Groups, Nested
from daskbridge.topology._nodes import Scheduler, WorkerGroup
from daskbridge.topology._setting import Checked, join, setting, wrong


@dataclass(frozen=True, repr=False)
class Dask(Checked):
    """Describe a transient Dask cluster, once, for any orchestrator.

    ``worker_groups`` holds further groups by name; the group ``default`` is ``workers``. The body waits
    until ``min_workers`` workers (by default one per group) have joined, for at most ``start_timeout``
    seconds. ``max_lifetime``, in seconds, is a cap on cost. ``config`` is Dask configuration for all nodes.
    ``provisioner_options`` holds, by a provisioner's name, what only that one knows.

    Objects compare equal by value, are frozen, copyable and picklable; mappings are copied at
    construction. Nested objects may be given as plain mappings. A wrong value raises
    :class:`~daskbridge.errors.TopologyError`.

    >>> Dask(workers=WorkerGroup(4), worker_groups={"big": {"resources": {"memory": "64Gi"}}}).groups["big"]
    WorkerGroup(number_of_workers=1, resources=Resources(memory='64Gi'))
    """

    scheduler: Scheduler = field(
        default_factory=Scheduler, metadata=setting(Nested(Scheduler), "The scheduler.")
    )
    workers: WorkerGroup = field(
        default_factory=WorkerGroup, metadata=setting(Nested(WorkerGroup), "The default group of workers.")
    )
    worker_groups: Mapping[str, WorkerGroup] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(Groups(WorkerGroup), "Further groups of workers, by name.", asks="worker-groups"),
    )
    min_workers: Optional[int] = field(
        default=None,
        kw_only=True,
        metadata=setting(
            Count(), "How many workers, of all groups, the body waits for; unset, one per group."
        ),
    )
    start_timeout: float = field(
        default=600.0,
        kw_only=True,
        metadata=setting(Seconds(), "How long the body waits for workers, in seconds."),
    )
    max_lifetime: Optional[float] = field(
        default=None,
        kw_only=True,
        metadata=setting(Seconds(), "After how many seconds the cluster ends.", asks="max-lifetime"),
    )
    config: Mapping[str, Any] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(DaskConfig(), "Dask configuration for all nodes.", asks="dask-config"),
    )
    provisioner_options: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(Options(), "What only one provisioner knows, by the provisioner's name."),
    )

    @property
    def groups(self) -> dict[str, WorkerGroup]:
        """Return all groups by name, ``default`` first."""
        return {"default": self.workers, **self.worker_groups}

    @property
    def workers_to_wait_for(self) -> int:
        """Return how many workers the body waits for in all; each group has at least one of them."""
        return len(self.groups) if self.min_workers is None else self.min_workers

    def _place(self) -> str:
        return ""

    def _check_together(self, place: str) -> None:
        if self.min_workers is None:
            return
        fewest, most = len(self.groups), sum(group.number_of_workers for group in self.groups.values())
        if not fewest <= self.min_workers <= most:
            expected = f"a number from {fewest} (one per group) to {most} (the sum of number_of_workers)"
            raise wrong(join(place, "min_workers"), self.min_workers, expected)
