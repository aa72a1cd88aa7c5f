"""Pack the call of a task: its arguments, with places in them for what other task runs will give.

This module travels; it imports Prefect.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import BaseAnnotation
from prefect.utilities.engine import collect_task_run_inputs_sync

from .context import own_context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prefect import Task


def pack_call(
    task: Task[..., Any],
    run: UUID,
    parameters: dict[str, Any],
    wait_for: Iterable[PrefectFuture[Any]] | None,
    dependencies: dict[str, set[Any]] | None,
) -> tuple[bytes, list[PrefectFuture[Any]]]:
    """Pickle a call; return it with the futures that it waits for, wherever in the arguments they are."""
    inputs: dict[str, set[Any]] = {
        name: collect_task_run_inputs_sync(value, future_cls=PrefectFuture)
        for name, value in parameters.items()
    }
    for name, more in (dependencies or {}).items():
        inputs[name] = inputs.get(name, set()) | more
    call = {
        "task_run_id": run,
        "parameters": parameters,
        "wait_for": None if wait_for is None else list(wait_for),
        "dependencies": {name: found for name, found in inputs.items() if name in parameters},
        "own": own_context(task, run, inputs),
    }
    packed = io.BytesIO()
    pickler = _Pickler(packed)
    pickler.dump(call)
    return packed.getvalue(), list(pickler.found.values())


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickle all but futures, which stand for what another task run gives."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.found: dict[int, PrefectFuture[Any]] = {}
        self._places: dict[int, int] = {}

    def reducer_override(self, value: object) -> Any:  # noqa: ANN401 -- the protocol's
        """Pickle annotations such as ``allow_failure`` as they are: by themselves they nest their value."""
        if isinstance(value, BaseAnnotation):
            return type(value), (value.unwrap(),)
        return super().reducer_override(value)

    def persistent_id(self, value: object) -> int | None:
        """Give futures numbers, in the order in which they are found."""
        if not isinstance(value, PrefectFuture):
            return None
        place = self._places.setdefault(id(value), len(self._places))
        self.found[place] = value
        return place
