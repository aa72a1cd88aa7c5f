"""A topology that depends on the arguments of a call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from daskbridge.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daskbridge.serialization import TopologyLike
    from daskbridge.topology import Dask

_NAMED = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})


class Sizing:
    """Ask a function of the user's for the topology of each call; it gets the arguments that it names.

    Raises TypeError at definition for a name that ``function`` does not have.

    >>> from daskbridge import Dask, WorkerGroup
    >>> def fit(path: str, files: int = 8) -> None: ...
    >>> Sizing(lambda files: Dask(workers=WorkerGroup(files)), fit)(("data",), {}).workers.number_of_workers
    8
    """

    def __init__(self, size: Callable[..., TopologyLike], function: Callable[..., Any]) -> None:
        self._size = size
        self._signature = inspect.signature(function)
        wanted = inspect.signature(size).parameters.values()
        self._all = any(each.kind is each.VAR_KEYWORD for each in wanted)
        self._names = [each.name for each in wanted if each.kind in _NAMED]
        for each in wanted:
            if each.name in self._names and each.default is each.empty:
                self._refuse_unknown(each.name, function)

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Dask:
        """Return the topology of one call. Raises TypeError for arguments that don't fit, and no topology."""
        from daskbridge.serialization import topology_from

        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        topology = self._size(**{name: given[name] for name in given if self._all or name in self._names})
        try:
            return topology_from(topology)
        except TypeError as error:
            raise TypeError(f"{self._name} returned no topology: {error}") from error

    @property
    def _name(self) -> str:
        return getattr(self._size, "__qualname__", repr(self._size))

    def _refuse_unknown(self, name: str, function: Callable[..., Any]) -> None:
        if name not in self._signature.parameters:
            whose = getattr(function, "__qualname__", repr(function))
            words = unknown(f"argument of {whose}", name, self._signature.parameters)
            raise TypeError(f"topology: {self._name} asks for an {words}")
