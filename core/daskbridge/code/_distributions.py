"""Map the modules that a bundle imports to installed distributions, without importing any."""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from daskbridge.code._imports import imports

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from daskbridge.code._scan import Selection

#: What ``distributed`` can't be imported without; its versions are compared in any case.
NEEDED = frozenset({"dask", "distributed", "cloudpickle", "msgpack", "tornado", "toolz"})


@dataclass(frozen=True)
class Imported:
    """Hold the distributions that some code imports and this process has.

    ``versions`` are this process's. ``modules`` are those of each without which the code can't do;
    a node that can import them lacks nothing.
    """

    versions: dict[str, str] = field(default_factory=dict)
    modules: dict[str, list[str]] = field(default_factory=dict)

    def without(self, names: Collection[str]) -> Imported:
        """Leave out some distributions, however their names are spelt."""
        left_out = {normal(name) for name in names}
        versions = {name: each for name, each in self.versions.items() if normal(name) not in left_out}
        return Imported(versions, {name: self.modules[name] for name in versions})


class _Brought(NamedTuple):
    """Say that a distribution brings a module, or a part of a namespace."""

    module: str
    part: str
    name: str
    version: str


def imported_distributions(selection: Selection) -> Imported:
    """Return what the files of ``selection`` import of other distributions.

    What ``distributed`` needs itself is left out: every node has it. Runs in the driver and blocks
    while it reads files; imports nothing. The standard library's ``packages_distributions`` reads what
    every distribution recorded, so only what is imported is looked up, and by its own name first.
    """
    kinds: dict[str, str] = {}

    def concern(name: str) -> str | None:
        top = name.partition(".")[0]
        kind = kinds[top] if top in kinds else kinds.setdefault(top, _kind(top))
        return {"package": top, "namespace": name}.get(kind)

    found = imports(selection, concern)
    imported = Imported()
    for module, part, name, version in _distributions(found):
        imported.versions[name] = version
        imported.modules.setdefault(name, []).extend([part] if found[module] else [])
    return imported


def _kind(top: str) -> str:
    """Tell what an import of ``top`` would find here: a package or module, a namespace, or nothing."""
    if top in NEEDED:
        return "nothing"
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # not a name, or loaded from nowhere
        return "nothing"
    if spec is None:
        return "nothing"
    return "package" if spec.origin else "namespace"


def _distributions(modules: Collection[str]) -> Iterator[_Brought]:
    """Yield for each module the distribution that brings it, if one does."""
    left = []
    for module in modules:
        for name in _prefixes(module):
            with suppress(metadata.PackageNotFoundError):
                yield _brought(module, name, metadata.metadata(name))
                break
        else:
            left.append(module)
    yield from _recorded(tuple(left)) if left else ()


@cache
def _recorded(modules: tuple[str, ...]) -> list[_Brought]:
    """Look modules up in what every distribution recorded: by the longest part of the name that is there."""
    found: dict[str, list[metadata.Distribution]] = {}
    for distribution in metadata.distributions():
        tops = (distribution.read_text("top_level.txt") or "").split()
        files = "\n" + ("" if tops else distribution.read_text("RECORD") or "")
        for prefix in chain.from_iterable(map(_prefixes, modules)):
            path = prefix.replace(".", "/")
            if path in tops or f"\n{path}/" in files or f"\n{path}." in files:
                found.setdefault(prefix, []).append(distribution)
    longest = {module: next((name for name in _prefixes(module) if name in found), "") for module in modules}
    return [
        _brought(module, prefix, each.metadata)
        for module, prefix in longest.items()
        for each in found.get(prefix, ())
    ]


def _brought(module: str, part: str, known: metadata.PackageMetadata) -> _Brought:
    return _Brought(module, part, str(known["Name"]), str(known["Version"]))


def _prefixes(module: str) -> list[str]:
    """Return a module's name, then what it is part of; the top of a namespace says nothing.

    >>> _prefixes("yaml"), _prefixes("google.cloud.storage")
    (['yaml'], ['google.cloud.storage', 'google.cloud'])
    """
    parts = module.split(".")
    return [".".join(parts[:number]) for number in range(len(parts), min(len(parts), 2) - 1, -1)]


def normal(name: str) -> str:
    """Return a distribution's name as all spellings of it have it."""
    return re.sub(r"[-_.]+", "-", name).lower()
