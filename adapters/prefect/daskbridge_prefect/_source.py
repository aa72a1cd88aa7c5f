"""Let Prefect see the user's function in the one that opens a cluster around it."""

from __future__ import annotations

from functools import update_wrapper
from types import CodeType, MethodType
from typing import Any

from prefect import tasks

#: Whether Prefect asks for the function behind a wrapper; before 3.9 it hashes what it is given.
ASKS = hasattr(tasks, "_get_task_source")


def seen_as(function: Any, wrapper: Any) -> Any:  # noqa: ANN401 -- a function of the user's, of any kind
    """Return ``wrapper``, whose task has the key and the input hash of ``function``'s.

    Else all decorated tasks would have the hash of one wrapper, and Prefect's cache would give results of
    code that has changed since.
    """
    if ASKS or not isinstance(getattr(function, "__code__", None), CodeType):
        wrapper.__prefect_task_source__ = function
        return wrapper
    return SeenAs(function, wrapper)


class SeenAs:
    """Call ``wrapper``, and have the code of ``function``: a function in all that :mod:`inspect` asks."""

    def __init__(self, function: Any, wrapper: Any) -> None:  # noqa: ANN401 -- as above
        update_wrapper(self, function)
        self.__code__ = function.__code__
        self.__defaults__ = function.__defaults__
        self.__kwdefaults__ = function.__kwdefaults__
        self._wrapper = wrapper

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- the function's own
        return self._wrapper(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:  # noqa: ANN401 -- as a function's
        return self if instance is None else MethodType(self, instance)
