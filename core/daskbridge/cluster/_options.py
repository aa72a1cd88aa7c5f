"""Read a provisioner's own options out of a topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.errors import TopologyError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.topology import Dask


def options(topology: Dask, provisioner: str, known: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Return ``provisioner_options[provisioner]``, its keys and types checked.

    Raises TopologyError for an unknown key or a value of another type.
    """
    given = dict(topology.provisioner_options.get(provisioner, {}))
    path = f"provisioner_options.{provisioner}"
    for key, value in given.items():
        if key not in known:
            msg = f"{path}: {unknown('option', key, known)}"
            raise TopologyError(msg)
        if not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is not bool):
            wanted = known[key]
            names = (
                wanted.__name__ if isinstance(wanted, type) else " or ".join(kind.__name__ for kind in wanted)
            )
            msg = f"{path}.{key} is {value!r}; expected a value of type {names}"
            raise TopologyError(msg)
    return given
