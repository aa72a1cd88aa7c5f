"""Topology to document and back: a mapping that JSON and YAML can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, Final

from daskbridge.errors import TopologyError
from daskbridge.topology import Dask
from daskbridge.topology._nested import build
from daskbridge.topology._setting import Checked, given, join, wrong

VERSION: Final = 1


def to_document(topology: Dask) -> dict[str, Any]:
    """Return the document of a topology: plain mappings, lists, strings and numbers.

    What is not set is left out; a pair becomes a list. An image object or a GPU object of an
    orchestrator raises :class:`~daskbridge.errors.TopologyError`: documents hold names only.

    >>> from daskbridge import WorkerGroup
    >>> to_document(Dask(workers=WorkerGroup(4, resources={"cpu": (1, 2)})))["workers"]
    {'number_of_workers': 4, 'resources': {'cpu': [1, 2]}}
    """
    # Through JSON, so that tuples become lists, and subclasses of str and int what they stand for.
    document: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **_fields(topology, "")}))
    return document


def from_document(document: Mapping[str, Any]) -> Dask:
    """Return the topology that a document describes; ``from_document(to_document(t)) == t``.

    An unknown key, a wrong value and an unknown version raise
    :class:`~daskbridge.errors.TopologyError`, with the path and the nearest name.

    >>> from_document({"version": 1, "workers": {"number_of_workers": 2}}).workers
    WorkerGroup(number_of_workers=2)
    """
    return read(document, "")


def read(document: object, where: str) -> Dask:
    """Read a document whose errors start with ``where``, such as ``cluster.yaml: ``."""
    if not isinstance(document, Mapping):
        given_type = "nothing" if document is None else type(document).__name__
        msg = f"{where}a mapping with the key `version` is expected, {given_type} was given"
        raise TopologyError(msg, hint="`daskbridge schema` prints what a document holds")
    if "version" not in document:
        raise TopologyError(f"{where}the key `version` is missing", hint=f"add `version: {VERSION}`")
    rest = dict(document)
    version = rest.pop("version")
    if type(version) is not int or version != VERSION:
        hint = "update daskbridge if a newer one wrote the document"
        raise wrong(join(where, "version"), version, f"{VERSION}, the only version so far,", hint)
    return build(Dask, rest, where)


def _fields(owner: Checked, path: str) -> dict[str, Any]:
    written = {each.name: (each, _value(value, join(path, each.name))) for each, _, value in given(owner)}
    return {
        name: value
        for name, (each, value) in written.items()
        if value != {} or each.default_factory is MISSING
    }


def _value(value: Any, path: str) -> Any:  # noqa: ANN401 -- any field's value
    if isinstance(value, Checked):
        return _fields(value, path)
    if isinstance(value, Mapping):
        return {name: _value(each, join(path, name)) for name, each in value.items()}
    if isinstance(value, str | int | float | list | tuple | None):
        return value
    raise wrong(path, value, "in a document, a name", "give the name as a string")
