"""What a runner is made from: a topology, or the arguments that prefect-dask's runner takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping  # noqa: TC003 -- annotations of a dataclass
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from dask.utils import parse_bytes

from daskbridge import ClusterClass, Dask, Existing, Resources, WorkerGroup
from daskbridge.errors import TopologyError
from daskbridge_prefect._runner_options import GROUP

#: Keywords of LocalCluster that a topology has, too.
LOCAL = {"n_workers", "threads_per_worker", "memory_limit"}
#: What each worker of a group has of the group's resource: more than there are threads.
PLENTY = 1_000_000.0


@dataclass(frozen=True)
class Arguments:
    """Hold a runner's arguments as they were given. Raises ValueError for those that exclude each other."""

    cluster: Any = None
    address: str | None = None
    cluster_class: str | Callable[..., Any] | None = None
    cluster_kwargs: Mapping[str, Any] = field(default_factory=dict)
    adapt_kwargs: Mapping[str, Any] = field(default_factory=dict)
    client_kwargs: Mapping[str, Any] = field(default_factory=dict)
    performance_report_path: str | None = None
    provisioner: Any = None
    code: Any = None

    def __post_init__(self) -> None:
        ways = {name for name in ("cluster", "address", "cluster_class") if getattr(self, name) is not None}
        if self.cluster_kwargs:
            ways.add("cluster_class")
        if len(ways) > 1:
            msg = f"{', '.join(sorted(ways))} were given (or cluster_kwargs); give one of them"
            raise ValueError(msg)
        if self.address is not None and self.adapt_kwargs:
            raise ValueError("address and adapt_kwargs were given; a running cluster is scaled by its owner")
        if self.provisioner is not None and not isinstance(self.cluster, Dask):
            raise ValueError(
                "provisioner is for a topology: DaskTaskRunner(cluster=Dask(...), provisioner=...)"
            )
        for name in ("cluster_kwargs", "client_kwargs"):
            if "asynchronous" in getattr(self, name):
                msg = f"{name} has asynchronous, which the runner decides"
                raise ValueError(msg)

    def resolve(self) -> tuple[Dask, Any]:
        """Return the topology and the provisioner (None for the configured one)."""
        if isinstance(self.cluster, Dask):
            return with_groups(self.cluster), self.provisioner
        if self.address is not None:
            return Dask(), Existing(self.address)
        if self.cluster is not None:
            address = getattr(self.cluster, "scheduler_address", None)
            if not isinstance(address, str):
                kind = type(self.cluster).__name__
                msg = f"cluster is a {kind}; a topology, Dask(...), or a running cluster is expected"
                raise TypeError(msg)
            return Dask(), Existing(address)
        if self.cluster_class is None and not self.adapt_kwargs and set(self.cluster_kwargs) <= LOCAL:
            return _local(self.cluster_kwargs), None
        return Dask(), ClusterClass(_factory(self.cluster_class, self.adapt_kwargs), self.cluster_kwargs)


def with_groups(topology: Dask) -> Dask:
    """Give each of several worker groups a resource of its own, by which tasks can ask for it."""
    if not topology.worker_groups:
        return topology
    groups = {
        name: replace(group, abstract_resources={**group.abstract_resources, GROUP.format(name): PLENTY})
        for name, group in topology.groups.items()
    }
    return replace(topology, workers=groups.pop("default"), worker_groups=groups)


def _local(keywords: Mapping[str, Any]) -> Dask:
    number = keywords.get("n_workers") or len(os.sched_getaffinity(0))
    given = keywords.get("memory_limit")
    memory = None if given in {None, "auto"} else parse_bytes(given)
    return Dask(
        workers=WorkerGroup(
            number_of_workers=number,
            threads=keywords.get("threads_per_worker"),
            resources=Resources(memory=str(memory)) if memory else None,
        )
    )


def _factory(given: str | Callable[..., Any] | None, adapt: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what makes a cluster whose size its own keywords, or ``adapt_kwargs``, decide."""
    name = given or "distributed.LocalCluster"

    def start(**keywords: Any) -> _AsMade:  # noqa: ANN401 -- the class's own
        made = (_imported(name) if isinstance(name, str) else name)(**keywords)
        if adapt:
            made.adapt(**{**adapt, "minimum": max(1, adapt.get("minimum", 1))})
        return _AsMade(made)

    start.__qualname__ = name if isinstance(name, str) else getattr(name, "__qualname__", repr(name))
    return start


def _imported(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    try:
        found: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"cluster_class is {name!r}, which can't be imported: {error}"
        raise TopologyError(msg, hint="install its package, or correct the name") from error
    return found


class _AsMade:
    """Keep a cluster at the size that it was made with."""

    def __init__(self, cluster: Any) -> None:  # noqa: ANN401 -- any of Dask's family
        self._cluster = cluster

    def scale(self, n: int) -> None:
        """Do nothing: prefect-dask's arguments say the size in the class's own words."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the cluster has
        return getattr(self._cluster, name)
