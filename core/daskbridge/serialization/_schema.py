"""The JSON Schema of documents, from the same table as the validation."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from daskbridge.serialization._document import VERSION
from daskbridge.topology import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.topology._setting import Checked, settings


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a topology's document.

    It serves editors and other languages. What needs two fields at once (a limit below its request,
    ``max_workers`` below ``number_of_workers``) only :func:`from_document` refuses.

    >>> sorted(json_schema()["$defs"])
    ['Resources', 'Scheduler', 'WorkerGroup']
    """
    whole = _object(Dask)
    version = {"const": VERSION, "description": "The version of this format."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "properties": {"version": version, **whole["properties"]},
        "required": ["version"],
        "$defs": {owner.__name__: _object(owner) for owner in (Resources, Scheduler, WorkerGroup)},
    }


def _object(owner: type[Checked]) -> dict[str, Any]:
    properties = {}
    for each, known in settings(owner):
        schema = known.kind.schema()
        if each.default is None:
            schema = {"anyOf": [schema, {"type": "null"}]}
        elif each.default is not MISSING:
            schema = {**schema, "default": each.default}
        properties[each.name] = {**schema, "description": known.doc}
    return {
        "type": "object",
        "title": owner.__name__,
        "description": (owner.__doc__ or "").partition("\n")[0],
        "properties": properties,
        "additionalProperties": False,
    }
