"""A topology in whatever form a user gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from daskbridge.errors import TopologyError, unknown
from daskbridge.serialization._document import VERSION, read
from daskbridge.serialization._text import load, loads
from daskbridge.settings import setting
from daskbridge.topology import Dask

#: What names a topology; see :func:`topology_from`.
TopologyLike: TypeAlias = Dask | Mapping[str, Any] | str | os.PathLike[str]


def topology_from(given: TopologyLike) -> Dask:
    """Return the topology that is given: as an object, a mapping, a JSON text, a file or a name.

    A text that begins with ``{`` is a JSON document. One with a dot or a slash, or a path object, names a
    ``.json``, ``.yaml`` or ``.yml`` file. Any other text is a name under ``daskbridge.topologies`` in Dask's
    configuration. A mapping, there too, may leave out ``version``. For adapters whose orchestrator hands
    options on as text. Raises :class:`~daskbridge.errors.TopologyError` for what such a form holds, and
    TypeError for anything else.

    >>> topology_from('{"version": 1, "workers": {"number_of_workers": 4}}').workers.number_of_workers
    4
    >>> import dask
    >>> with dask.config.set({"daskbridge.topologies.small": {"workers": {"number_of_workers": 2}}}):
    ...     topology_from("small").workers.number_of_workers
    2
    """
    if isinstance(given, Dask):
        return given
    if isinstance(given, Mapping):
        return read({"version": VERSION, **given}, "")
    if isinstance(given, str) and given.lstrip().startswith("{"):
        return loads(given)
    value: object = given
    if isinstance(value, (str, os.PathLike)):
        return _named(value) if _is_name(value) else load(value)
    expected = "daskbridge.Dask(...), a mapping, a JSON text, a file's path or a configured name"
    kind = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
    raise TypeError(f"topology is {kind}; expected {expected}")


def is_found_outside(given: object) -> bool:
    """Tell whether a topology is in a file or in the configuration, which nodes need not have."""
    return isinstance(given, os.PathLike) or (isinstance(given, str) and not given.lstrip().startswith("{"))


def _is_name(given: str | os.PathLike[str]) -> bool:
    return isinstance(given, str) and not {".", "/", os.sep}.intersection(given)


def _named(name: str | os.PathLike[str]) -> Dask:
    configured: dict[str, Any] = setting("topologies")
    if name not in configured:
        hint = "Dask's configuration has them as daskbridge: {topologies: {NAME: ...}}; a file has a suffix"
        raise TopologyError(unknown("topology", name, configured), hint=hint)
    found = configured[str(name)]
    document = {"version": VERSION, **found} if isinstance(found, Mapping) else found
    return read(document, f"daskbridge.topologies.{name}: ")
