"""The plugin ``document``: a topology rendered as its own document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.plugins import Serializer, hookimpl
from daskbridge.serialization._capabilities import CAPABILITIES

if TYPE_CHECKING:
    from typing import Any

    from daskbridge.topology import Dask


@hookimpl
def daskbridge_serializers() -> list[Serializer]:
    """Offer the document as a target that can do everything."""
    return [Serializer("document", render=_render, capabilities=frozenset(CAPABILITIES))]


def _render(topology: Dask) -> dict[str, Any]:
    from daskbridge.serialization import to_document

    return to_document(topology)
