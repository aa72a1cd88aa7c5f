"""Add to a project what it imports through editable installs: nodes don't have those."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._distributions import NEEDED, normal
from daskbridge.code._editable import Editable, editables, place_of
from daskbridge.code._project import is_command, is_installed
from daskbridge.code._spec import CodeSpec, Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def with_editables(spec: CodeSpec) -> CodeSpec:
    """Return ``spec`` with the editable installs of which this process has loaded something.

    One inside a root adds to what nodes import from there; one outside becomes a further root, in the
    order of their names. A package whose directory has another name ships under its import name.
    Left out are daskbridge with its plugins, and Dask with what it needs. Imports nothing.

    >>> from tempfile import mkdtemp
    >>> spec = CodeSpec([mkdtemp()])
    >>> with_editables(spec) == spec
    True
    """
    places = {(root.path / entry).resolve() for root in spec.roots for entry in root.sys_path}
    strays = {name: file for name, file in _loaded().items() if place_of(name, file) not in places}
    for editable, loaded in _owners(strays) if strays else ():
        if normal(editable.name) not in everywhere():
            spec = _with(spec, editable, loaded)
    return spec


def of_command(spec: CodeSpec) -> CodeSpec:
    """Leave out the working directory of an installed command that comes from an editable install.

    It is the first root of ``spec``, and stays if this process has loaded anything that lies there.

    >>> spec = CodeSpec(["project"])
    >>> of_command(spec) == spec
    True
    """
    first, *more = spec.roots
    here = first.path.resolve()
    if not more or not is_command() or any(root.path.is_relative_to(first.path) for root in more):
        return spec
    if any(file.is_relative_to(here) for file in _loaded().values()):
        return spec
    return replace(spec, roots=tuple(more))


def with_finders(spec: CodeSpec) -> CodeSpec:
    """Return ``spec`` with the packages of editable installs in its roots that ``sys.path`` doesn't tell of.

    >>> from tempfile import mkdtemp
    >>> spec = CodeSpec([mkdtemp()])
    >>> with_finders(spec) == spec
    True
    """
    if not any(name.startswith(("__editable___", "_editable_impl_")) for name in list(sys.modules)):
        return spec  # and no metadata is read
    for editable in editables():
        inside = any(editable.project.is_relative_to(root.path.resolve()) for root in spec.roots)
        if inside and editable.modules:
            spec = _with(spec, editable, {})
    return spec


def _loaded() -> dict[str, Path]:
    """Return the modules of this process that are in no image."""
    image = tuple({str(Path(sysconfig.get_path(kind))) for kind in ("purelib", "platlib", "stdlib")})
    installed, real = cache(is_installed), cache(Path.resolve)
    found = {}
    for name, module in list(sys.modules.items()):
        known = getattr(module, "__dict__", {})  # asking a module may make it import something
        file = known.get("__file__")
        if not isinstance(file, str) or file.startswith(image) or name in {"__main__", "__mp_main__"}:
            continue
        path = real(Path(file).parent) / Path(file).name
        if not installed(path.parent):
            found[name] = path
    return found


def _owners(strays: Mapping[str, Path]) -> Iterator[tuple[Editable, dict[str, Path]]]:
    """Yield each editable install with the strays that are of it and of no project inside of it."""
    known = editables()
    owners = {}
    for name, file in strays.items():
        holders = [each for each in known if each.holds(file)]
        owners[name] = max(holders, key=lambda each: len(each.project.parts), default=None)
    for editable in known:
        loaded = {name: strays[name] for name, owner in owners.items() if owner is editable}
        if loaded:
            yield editable, loaded


def everywhere() -> set[str]:
    """Name what nodes have in any case, or have no use for."""
    from daskbridge.plugins import plugins

    return {normal(name) for name in (*NEEDED, "daskbridge", *plugins().driver_only())}


def _with(spec: CodeSpec, editable: Editable, loaded: Mapping[str, Path]) -> CodeSpec:
    places = editable.places()
    renamed = editable.renamed()
    if not places and not renamed:  # of a finder that is not known here; its files tell
        found = (place_of(name, file) for name, file in loaded.items())
        places = sorted({place for place in found if place is not None and editable.holds(place)})
    roots = list(spec.roots)
    # a project that holds a root would bring that a second time: then only what is imported ships
    around = any(root.path.resolve().is_relative_to(editable.project) for root in spec.roots)
    for place in places:
        for number, root in enumerate(roots):
            if not root.package and place.is_relative_to(root.path.resolve()):
                entry = place.relative_to(root.path.resolve()).as_posix()
                roots[number] = Root(root.path, [*root.sys_path, entry])
                break
        else:
            base = editable.project if place.is_relative_to(editable.project) and not around else place
            roots.append(Root(base, [place.relative_to(base).as_posix()]))
    modules = dict(spec.modules)
    for name, target in renamed.items():
        if target.is_dir():
            if (root := Root(target, package=name)) not in roots:
                roots.append(root)
        else:
            modules[name] = target
    return replace(spec, roots=tuple(roots), modules=modules)
