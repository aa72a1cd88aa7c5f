"""Reduce what a process says of its environment to what is compared, and compare it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What pickled objects depend on; a patch release of Python does not count.
BREAKS = ("python", "dask", "distributed", "cloudpickle", "msgpack", "numpy", "pandas")
#: What ``distributed`` reports beside these, and uses on the wire.
BESIDE = ("tornado", "toolz", "lz4")


def comparable(versions: Mapping[str, Any]) -> dict[str, str]:
    """Return what counts of ``distributed.versions.get_versions()``: a name to what the process has of it.

    A package that is absent is left out.
    """
    packages, host = versions.get("packages") or {}, versions.get("host") or {}
    found = {"python": _python(packages.get("python"))}
    if host.get("OS"):
        found["platform"] = f"{host['OS']} {host.get('machine', '')}".strip()
    return found | {name: str(packages[name]) for name in (*BREAKS[1:], *BESIDE) if packages.get(name)}


def differences(
    mine: Mapping[str, str], theirs: Mapping[str, str | None]
) -> dict[str, tuple[str, str | None]]:
    """Return what both know otherwise: a name to (mine, theirs); None for what should be there and is not."""
    return {
        name: (mine[name], theirs[name]) for name in mine if name in theirs and mine[name] != theirs[name]
    }


def breaking(differing: Mapping[str, tuple[str, str | None]]) -> list[str]:
    """Return the names of the differences that break pickling."""
    return [
        name
        for name, (mine, theirs) in differing.items()
        if name in BREAKS and theirs and (name != "python" or _minor(mine) != _minor(theirs))
    ]


def _python(reported: object) -> str:
    """Shorten ``3.11.7.final.0`` and ``3.14.0.candidate.2`` as Python itself does."""
    parts = str(reported or "unknown").split(".")
    level = "".join(parts[3:]).replace("candidate", "rc").replace("alpha", "a").replace("beta", "b")
    return ".".join(parts[:3]) + ("" if level.startswith("final") else level)


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]
