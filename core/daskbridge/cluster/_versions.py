"""Compare what breaks pickling between the driver, the scheduler and every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.errors import ONE_IMAGE, EnvironmentMismatch, comparison
from daskbridge.node.guard import comparable, differences

if TYPE_CHECKING:
    from collections.abc import Mapping

Versions = dict[str, str]


def mine() -> Versions:
    """Return what counts of this process's versions: package to version."""
    from distributed.versions import get_versions

    return comparable(get_versions())


def mismatch(driver: Versions, reported: Mapping[str, Any]) -> EnvironmentMismatch | None:
    """Return an error with a table of what differs, or None.

    ``reported`` is what ``Client.get_versions`` returns: ``scheduler`` and ``workers``, by address.
    """
    scheduler = comparable(reported["scheduler"] or {})
    workers = {address: comparable(versions) for address, versions in reported["workers"].items()}
    nodes = [scheduler, *workers.values()]
    packages = sorted({package for node in nodes for package in differences(driver, node)})
    if not packages:
        return None
    table = comparison("package", packages, driver, scheduler, list(workers.values()))
    return EnvironmentMismatch(
        f"the nodes' environment differs in what breaks pickling\n{table}", hint=ONE_IMAGE
    )
