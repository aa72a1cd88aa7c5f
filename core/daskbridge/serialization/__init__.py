"""Topologies as documents: JSON, YAML, their JSON Schema, and what a target can do of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.serialization._capabilities import CAPABILITIES
    from daskbridge.serialization._check import check
    from daskbridge.serialization._document import from_document, to_document
    from daskbridge.serialization._given import TopologyLike, topology_from
    from daskbridge.serialization._schema import json_schema
    from daskbridge.serialization._text import digest, dumps, load, loads

__all__ = [
    "CAPABILITIES",
    "TopologyLike",
    "check",
    "digest",
    "dumps",
    "from_document",
    "json_schema",
    "load",
    "loads",
    "to_document",
    "topology_from",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CAPABILITIES": "daskbridge.serialization._capabilities",
        "TopologyLike": "daskbridge.serialization._given",
        "check": "daskbridge.serialization._check",
        "digest": "daskbridge.serialization._text",
        "dumps": "daskbridge.serialization._text",
        "from_document": "daskbridge.serialization._document",
        "json_schema": "daskbridge.serialization._schema",
        "load": "daskbridge.serialization._text",
        "loads": "daskbridge.serialization._text",
        "to_document": "daskbridge.serialization._document",
        "topology_from": "daskbridge.serialization._given",
    },
)
