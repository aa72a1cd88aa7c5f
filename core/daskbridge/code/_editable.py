"""Know which distributions are installed as links to their sources, and under which names those import."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from daskbridge.code._distributions import normal
from daskbridge.code._project import entries_inside, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Editable:
    """Name a distribution whose files stay in its ``project``, as ``pip install -e`` leaves them.

    ``modules`` maps import names to a directory or file, for those that a finder of the build tool
    knows and ``sys.path`` doesn't.
    """

    name: str
    project: Path
    modules: Mapping[str, Path]

    def holds(self, file: Path) -> bool:
        """Tell whether a file, without links in its path, is of this distribution."""
        return any(file.is_relative_to(place) for place in (self.project, *self.modules.values()))

    def places(self) -> list[Path]:
        """Return the directories that this process imports it from by the names of their files."""
        found = [self.project / entry for entry in entries_inside(self.project, sys.path)]
        for name, target in self.modules.items():
            if (place := place_of(name, target)) is not None:
                found.append(place)
        return list(dict.fromkeys(found))

    def renamed(self) -> dict[str, Path]:
        """Return the modules that are not named like their directory or file, and what those are part of."""
        found = {name for name, each in self.modules.items() if place_of(name, each) is None}
        found |= {name for name in self.modules if any(each.startswith(f"{name}.") for each in found)}
        return {name: each for name, each in self.modules.items() if name in found}

    def brings(self, module: str) -> bool:
        """Tell whether ``module`` can be imported from it; looks at names, and imports nothing."""
        parts = module.split(".")
        above = {".".join(parts[:number]) for number in range(1, len(parts) + 1)}
        if not above.isdisjoint(self.modules):
            return True
        return any(has_module(place, module) for place in self.places())


def editables() -> list[Editable]:
    """Return the editable installs of this process, by name; reads metadata and imports nothing."""
    found: dict[str, Editable] = {}
    for distribution in metadata.distributions():
        project = _project(distribution.read_text("direct_url.json"))
        if project is None or project.name == "" or is_installed(project):
            continue
        name = str(distribution.metadata["Name"])
        modules = dict(sorted(_modules(distribution, project)))
        found.setdefault(normal(name), Editable(name, project, modules))
    return [found[name] for name in sorted(found)]


def has_module(place: Path, name: str) -> bool:
    """Tell whether a directory has a module or package of that name, in full."""
    file = place.joinpath(*name.split("."))
    return file.is_dir() or file.with_name(f"{file.name}.py").exists()


def place_of(name: str, target: Path) -> Path | None:
    """Return the directory from which ``target`` imports as ``name``, or None if it has another name.

    >>> place_of("shop.prices", Path("/lib/shop/prices.py")) == Path("/lib")
    True
    >>> place_of("shop", Path("/code/shop_v2"))
    """
    inside = target.parent if target.name.partition(".")[0] == "__init__" else target
    parts = name.split(".")
    if [*inside.parts[-len(parts) : -1], inside.name.partition(".")[0]] != parts:
        return None
    return inside.parents[len(parts) - 1]


def _project(told: str | None) -> Path | None:
    """Return where an editable install comes from, told in the words of PEP 610."""
    try:
        origin: Any = json.loads(told or "{}")
    except ValueError:  # not by an installer that knows the rules
        return None
    url = urlsplit(str(origin.get("url")))
    if url.scheme != "file" or not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(url.path)).resolve()


def _modules(distribution: metadata.Distribution, project: Path) -> Iterator[tuple[str, Path]]:
    """Yield what finders tell that a ``.pth`` of the distribution has put into this process."""
    for file in distribution.files or ():
        finder = sys.modules.get(file.stem) if file.suffix == ".py" and len(file.parts) == 1 else None
        known: dict[str, str] = dict(getattr(finder, "MAPPING", {}))  # setuptools
        redirector = getattr(finder, "F", None)  # hatchling, by the package editables; one for all
        known |= getattr(redirector, "_redirections", {})
        for name, path in known.items():
            target = _existing(Path(path).resolve())
            if redirector is None or target.is_relative_to(project):
                yield name, target


def _existing(target: Path) -> Path:
    """Return the file of a module that setuptools names without its suffix."""
    if target.name == "__init__.py":
        return target.parent
    if target.exists():
        return target
    return next(iter(sorted(target.parent.glob(f"{target.name}.*"))), target)
