"""Refuse results that need the cluster after it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daskbridge.errors import ResultOutlivesCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuse_remains(result: object) -> None:
    """Raise ResultOutlivesCluster if ``result`` holds a future or a persisted collection.

    Looks into lists, tuples, sets and mappings; names the place. A lazy collection with nothing on
    the cluster may leave.
    """
    found = next(_remains(result, "the returned value", set()), None)
    if found is None:
        return
    place, kind, advice = found
    msg = f"{place} is {kind}: its data lies on the cluster, which ends with this function"
    raise ResultOutlivesCluster(msg, hint=f"return {advice} instead")


def _remains(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 -- any result
    from dask.base import is_dask_collection
    from distributed import Future
    from distributed.client import futures_of

    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Future):
        yield place, f"a future ({value.key!r})", "future.result() or client.gather(futures)"
    elif is_dask_collection(value):
        if futures_of(value):
            yield place, f"a persisted {type(value).__name__}", "collection.compute()"
    else:
        for item, where in _items(value, place):
            yield from _remains(item, where, seen)


def _items(value: Any, place: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401 -- any result
    if isinstance(value, Mapping):
        yield from ((item, f"{place}[{key!r}]") for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((item, f"{place}[{index}]") for index, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from ((item, f"an element of {place}") for item in value)
