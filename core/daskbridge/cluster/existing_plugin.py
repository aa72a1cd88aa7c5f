"""Offer the provisioner ``existing``."""

from __future__ import annotations

from daskbridge.cluster._existing import Existing
from daskbridge.plugins import hookimpl


@hookimpl
def daskbridge_provisioners() -> list[Existing]:
    """Offer to attach to a running scheduler."""
    return [Existing()]
