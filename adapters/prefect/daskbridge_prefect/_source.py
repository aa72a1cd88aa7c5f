"""Let Prefect see the user's function in the one that opens a cluster around it."""

from __future__ import annotations

from typing import Any


def seen_as(function: Any, wrapper: Any) -> Any:  # noqa: ANN401 -- a function of the user's, of any kind
    """Return ``wrapper``, whose task has the key and the input hash of ``function``'s."""
    wrapper.__prefect_task_source__ = function
    return wrapper
