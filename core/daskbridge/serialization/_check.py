"""Compare what a topology asks with what a target can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from daskbridge.errors import PluginError, UnsupportedByTarget, unknown
from daskbridge.serialization._capabilities import CAPABILITIES, TABLE
from daskbridge.topology._nested import Groups, Nested
from daskbridge.topology._setting import Checked, cut, given, join

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daskbridge.plugins import Target
    from daskbridge.topology import Dask


class _Asked(NamedTuple):
    capability: str
    text: str


def check(topology: Dask, target: Target) -> tuple[str, ...]:
    """Return a sentence for each field that the target does in its own way; refuse what it can't do.

    Call it before anything starts; it is pure. Fields that the target neither can nor adapts raise one
    :class:`~daskbridge.errors.UnsupportedByTarget` that lists them all: which, why, what to do instead. A
    target that declares an unknown capability raises :class:`~daskbridge.errors.PluginError`.

    >>> from daskbridge import Dask, WorkerGroup
    >>> from daskbridge.plugins import Serializer
    >>> flat = Serializer("flat", render=repr, adapts={"images": "the nodes use the driver's environment"})
    >>> check(Dask(workers=WorkerGroup(image="dask:1")), flat)
    ("workers.image='dask:1': the nodes use the driver's environment",)
    >>> check(Dask(workers=WorkerGroup(resources={"shm": "1Gi"})), flat)
    Traceback (most recent call last):
    ...
    daskbridge.errors.UnsupportedByTarget: the target 'flat' can't do what the topology asks:
      workers.resources.shm='1Gi': it can't give nodes shared memory of a stated size; leave shm out
    hint: or choose another target: `daskbridge plugins` lists them
    """
    advice: Mapping[str, str] = getattr(target, "advice", {})
    for name in sorted({*target.capabilities, *target.adapts, *advice} - {*CAPABILITIES}):
        raise PluginError(f"target {target.name!r}: {unknown('capability', name, CAPABILITIES)}")
    asked = list(_asked(topology, "", None))
    refused = [
        f"  {text}: it can't {TABLE[capability][0]}; {advice.get(capability, TABLE[capability][1])}"
        for capability, text in asked
        if capability not in target.capabilities and capability not in target.adapts
    ]
    if refused:
        message = "\n".join([f"the target {target.name!r} can't do what the topology asks:", *refused])
        raise UnsupportedByTarget(message, hint="or choose another target: `daskbridge plugins` lists them")
    return tuple(f"{text}: {target.adapts[name]}" for name, text in asked if name in target.adapts)


def _asked(owner: Checked, path: str, inherited: str | None) -> Iterator[_Asked]:
    """Yield what is asked; a resource that names no capability asks its owner's."""
    for each, known, value in given(owner):
        place = join(path, each.name)
        if isinstance(known.kind, Nested):
            yield from _asked(value, place, known.asks)
            continue
        capability = known.asks or inherited
        if capability and value != 0:
            shown = ", ".join(value) if isinstance(known.kind, Groups) else cut(known.kind.show(value))
            yield _Asked(capability, f"{place}={shown}")
        if isinstance(known.kind, Groups):
            for name, group in value.items():
                yield from _asked(group, join(place, name), None)
