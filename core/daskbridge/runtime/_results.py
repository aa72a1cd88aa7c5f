"""Refuse results that need the cluster after it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daskbridge.errors import ResultOutlivesCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What holds nothing, and is most of most results.
PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None)})


def refuse_remains(result: object) -> None:
    """Raise ResultOutlivesCluster if ``result`` holds a future or a persisted collection.

    Looks into lists, tuples, sets and mappings; names the place. A lazy collection with nothing on
    the cluster may leave.
    """
    left, seen = [(result, "the returned value")], set[int]()
    while left:
        value, place = left.pop()
        if type(value) in PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        if found := _remains(value):
            kind, advice = found
            msg = f"{place} is {kind}: its data lies on the cluster, which ends with this function"
            raise ResultOutlivesCluster(msg, hint=f"return {advice} instead")
        left += _items(value, place)


def _remains(value: object) -> tuple[str, str] | None:
    from dask.base import is_dask_collection
    from distributed import Future
    from distributed.client import futures_of

    if isinstance(value, Future):
        return f"a future ({value.key!r})", "future.result() or client.gather(futures)"
    if is_dask_collection(value) and futures_of(value):
        return f"a persisted {type(value).__name__}", "collection.compute()"
    return None


def _items(value: Any, place: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401 -- any result
    if isinstance(value, Mapping):
        yield from ((item, f"{place}[{key!r}]") for key, item in value.items() if type(item) not in PLAIN)
    elif isinstance(value, (list, tuple)):
        yield from (
            (item, f"{place}[{index}]") for index, item in enumerate(value) if type(item) not in PLAIN
        )
    elif isinstance(value, (set, frozenset)):
        yield from ((item, f"an element of {place}") for item in value if type(item) not in PLAIN)
