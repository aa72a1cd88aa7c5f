"""Offer the provisioner ``local``."""

from __future__ import annotations

from daskbridge.cluster._local import LocalProvisioner
from daskbridge.plugins import hookimpl


@hookimpl
def daskbridge_provisioners() -> list[LocalProvisioner]:
    """Offer clean processes on this machine."""
    return [LocalProvisioner()]
