"""Dask's options for a single task: on the task, or around its submission by ``dask.annotate``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from dask.base import get_annotations

from daskbridge.errors import TopologyError, unknown

if TYPE_CHECKING:
    from prefect import Task

T = TypeVar("T", bound=Callable[..., Any])

ATTRIBUTE = "__dask_options__"
KNOWN: Mapping[str, tuple[type, ...]] = {
    "resources": (Mapping,),
    "priority": (int, float),
    "workers": (str, list, tuple, set),
    "allow_other_workers": (bool,),
    "retries": (int,),
    "worker_group": (str,),
}
#: The abstract resource by which a worker group is chosen.
GROUP = "daskbridge-group-{}"


def dask_options(**options: Any) -> Callable[[T], T]:  # noqa: ANN401 -- each has its own type
    """Set Dask's options for the runs of one task under a :class:`DaskTaskRunner`; above or below ``@task``.

    ``resources`` are Dask's abstract ones, as ``{"GPU": 1}``; a larger ``priority`` runs first; ``workers``
    are names or addresses, ``worker_group`` is a group of the topology; ``retries`` is how many more times
    a run may begin anew when its worker dies, beside those of Prefect. Other runners take no notice.
    ``with dask.annotate(...)`` around ``submit`` or ``map`` says the same, and wins.
    Raises TopologyError for an unknown option or a value of another type.

    >>> from prefect import task
    >>> @dask_options(resources={"GPU": 1}, priority=10)
    ... @task
    ... def train(): ...
    """
    _check(options)

    def decorate(what: T) -> T:
        function = getattr(what, "fn", what)
        own = {**getattr(function, ATTRIBUTE, {}), **options}
        if function is what:
            setattr(function, ATTRIBUTE, own)
            return what
        task: Any = copy.copy(what)
        task.fn = _copied(function)  # Task.with_options() keeps nothing else, and shares it
        setattr(task.fn, ATTRIBUTE, own)
        made: T = task
        return made

    return decorate


def _copied(function: Any) -> Any:  # noqa: ANN401 -- any callable
    if not isinstance(function, FunctionType):
        return copy.copy(function)
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return update_wrapper(made, function, updated=("__dict__",))


def options_of(task: Task[..., Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for a submission now: of the task, and of ``dask.annotate`` around it."""
    annotated = {name: value for name, value in get_annotations().items() if name in KNOWN}
    asked = {**getattr(task.fn, ATTRIBUTE, {}), **annotated}
    _check(asked)
    group = asked.pop("worker_group", None)
    if group is not None:
        if group not in groups:
            raise TopologyError(unknown("worker group", group, groups))
        if len(groups) > 1:
            asked["resources"] = {**asked.get("resources", {}), GROUP.format(group): 1}
    return asked


def _check(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name not in KNOWN:
            raise TopologyError(unknown("option", name, KNOWN))
        if not isinstance(value, KNOWN[name]):
            kinds = " or ".join(kind.__name__ for kind in KNOWN[name])
            msg = f"{name}: {value!r} was given, a value of type {kinds} is expected"
            raise TopologyError(msg)
