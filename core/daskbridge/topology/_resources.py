"""What one node has."""

# ruff: noqa: UP007 -- in one style with Optional, which Flyte's script runner resolves

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from daskbridge.topology._amounts import CPU, MEMORY, SHARED_MEMORY, STORAGE, Gpu
from daskbridge.topology._quantity import parse_quantity
from daskbridge.topology._setting import Checked, setting

if TYPE_CHECKING:
    from fractions import Fraction

#: A quantity, or a pair of them: (request, limit).
Amount = Union[int, float, str, tuple[Union[int, float, str], Union[int, float, str]]]


@dataclass(frozen=True, repr=False)
class Resources(Checked):
    """Say what one node has: CPUs, memory, GPUs, disk, shared memory.

    A value is a request; a pair is (request, limit). ``cpu`` counts cores (``2``, ``0.5``, ``"500m"``);
    ``memory``, ``disk`` and ``shm`` count bytes, best with a unit (``"4Gi"``); ``shm`` may be
    ``"auto"``. ``gpu`` is a count, ``"model:count"`` (``"A100:2"``), or an orchestrator's own object,
    which is kept as it is. Values stay as they were given. A wrong one raises
    :class:`~daskbridge.errors.TopologyError`.

    >>> small = Resources(cpu="500m", memory=("1Gi", "2Gi"))
    >>> float(small.request("cpu")), int(small.limit("memory"))
    (0.5, 2147483648)
    """

    cpu: Optional[Amount] = field(default=None, metadata=setting(CPU, "CPU cores."))
    memory: Optional[Amount] = field(default=None, metadata=setting(MEMORY, "Memory in bytes."))
    gpu: Any = field(default=None, metadata=setting(Gpu(), "Number of GPUs, or model:count.", asks="gpu"))
    disk: Optional[Amount] = field(
        default=None, metadata=setting(STORAGE, "Temporary disk space in bytes.", asks="disk")
    )
    shm: Optional[Amount] = field(
        default=None,
        metadata=setting(SHARED_MEMORY, "Shared memory (/dev/shm) in bytes, or auto.", asks="shm"),
    )

    def request(self, name: Literal["cpu", "memory", "disk", "shm"]) -> Fraction | None:
        """Return the exact request, in cores or bytes; None if it is not set or ``"auto"``.

        >>> Resources(memory="64Mi").request("memory")
        Fraction(67108864, 1)
        """
        value = getattr(self, name)
        value = value[0] if isinstance(value, tuple) else value
        return None if value in (None, "auto") else parse_quantity(value)

    def limit(self, name: Literal["cpu", "memory", "disk", "shm"]) -> Fraction | None:
        """Return the exact limit, in cores or bytes; None if only a request, or nothing, is set.

        >>> Resources(cpu=2).limit("cpu") is None
        True
        """
        value = getattr(self, name)
        return parse_quantity(value[1]) if isinstance(value, tuple) else None
