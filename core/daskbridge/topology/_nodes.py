"""The nodes of a cluster: its scheduler and its groups of workers."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 -- annotations resolve at run time
from dataclasses import dataclass, field
from typing import Optional

from daskbridge.topology._kinds import Count, Directory, Image
from daskbridge.topology._mappings import AbstractResources, Environment
from daskbridge.topology._nested import NestedLike
from daskbridge.topology._resources import Resources
from daskbridge.topology._setting import Checked, join, setting, wrong


@dataclass(frozen=True, repr=False)
class Scheduler(Checked):
    """Describe the scheduler.

    ``image`` is a container image's name (an adapter may know image objects, too); it needs
    ``dask[distributed]`` and nothing of ours. ``resources`` also takes a mapping, or an object of the same
    shape such as ``flyte.Resources``. ``env`` holds environment variables; ``repr`` shows their names only.

    >>> Scheduler(resources=Resources(cpu=1), env={"TOKEN": "s3cret"})
    Scheduler(resources=Resources(cpu=1), env={'TOKEN': ...})
    """

    image: Optional[str] = field(
        default=None,
        metadata=setting(Image(), "Container image; unset, the target's default.", asks="images"),
    )
    resources: Optional[Resources] = field(
        default=None,
        metadata=setting(NestedLike(Resources), "What the node has.", asks="scheduler-resources"),
    )
    env: Mapping[str, str] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(Environment(), "Environment variables.", asks="env"),
    )


@dataclass(frozen=True, repr=False)
class WorkerGroup(Checked):
    """Describe a group of equal workers.

    ``number_of_workers`` is at least one; None means one. With ``max_workers`` the group is adaptive
    between the two numbers. ``image``, ``resources`` and ``env`` are each worker's, as in
    :class:`Scheduler`. ``threads`` is the number of tasks that a worker runs at once, by default its CPUs;
    ``local_directory`` is where it spills to; ``abstract_resources`` are Dask's own (``{"GPU": 1}``).
    A wrong value raises :class:`~daskbridge.errors.TopologyError`.

    >>> WorkerGroup(4, resources={"cpu": 2, "memory": "4Gi"})
    WorkerGroup(number_of_workers=4, resources=Resources(cpu=2, memory='4Gi'))
    >>> WorkerGroup(threads=0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    daskbridge.errors.TopologyError: WorkerGroup.threads: 0 was given, a whole number ...
    """

    number_of_workers: int = field(
        default=1, metadata=setting(Count(default=1), "Workers to start; with max_workers, the least number.")
    )
    image: Optional[str] = field(
        default=None,
        metadata=setting(Image(), "Container image; unset, the target's default.", asks="images"),
    )
    resources: Optional[Resources] = field(
        default=None,
        metadata=setting(NestedLike(Resources), "What each worker has.", asks="worker-resources"),
    )
    max_workers: Optional[int] = field(
        default=None,
        kw_only=True,
        metadata=setting(Count(), "The most workers of an adaptive group.", asks="adaptive"),
    )
    threads: Optional[int] = field(
        default=None,
        kw_only=True,
        metadata=setting(Count(), "Tasks that a worker runs at once.", asks="threads"),
    )
    env: Mapping[str, str] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(Environment(), "Environment variables.", asks="env"),
    )
    local_directory: Optional[str] = field(
        default=None,
        kw_only=True,
        metadata=setting(
            Directory(), "Where a worker spills to, a path on the node.", asks="local-directory"
        ),
    )
    abstract_resources: Mapping[str, float] = field(
        default_factory=dict,
        kw_only=True,
        metadata=setting(AbstractResources(), "Dask's abstract worker resources.", asks="abstract-resources"),
    )

    def _check_together(self, place: str) -> None:
        if self.max_workers is not None and self.max_workers < self.number_of_workers:
            expected = f"a number of at least number_of_workers ({self.number_of_workers})"
            raise wrong(join(place, "max_workers"), self.max_workers, expected)
