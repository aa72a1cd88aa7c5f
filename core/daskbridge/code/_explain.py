"""Say why a module that the driver can import is missing on a node."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._distributions import normal
from daskbridge.code._editable import editables, has_module, place_of
from daskbridge.code._layout import everywhere
from daskbridge.code._project import is_installed
from daskbridge.code._scan import MODULES

if TYPE_CHECKING:
    from daskbridge.code._bundle import CodeBundle
    from daskbridge.code._editable import Editable


def explain_import(name: str, bundle: CodeBundle, error: BaseException | None = None) -> str | None:
    """Explain a ``ModuleNotFoundError`` of ``name`` on a node; None if ``bundle`` ships the module.

    With the ``error`` itself, name the file of the bundle that imports the module.

    >>> from daskbridge.code import CodeSpec, build_bundle
    >>> from tempfile import mkdtemp
    >>> project = mkdtemp(); open(f"{project}/job.py", "w").close()
    >>> with build_bundle(CodeSpec([project])) as bundle:
    ...     print(explain_import("pandas", bundle).replace(project, "project"))
    module 'pandas' is not on the node, and no such file shipped from project: install it in the nodes' image
    """
    stem = name.replace(".", "/")
    wanted = [f"{entry}/{stem}".lstrip("/") for entry in bundle.sys_path]
    shipped = {entry.path for entry in bundle.manifest.entries}
    if any(_is_module(entry, path) for entry in shipped for path in wanted):
        return None
    roots = ", ".join(map(str, bundle.roots))
    for item in bundle.selection.left_out:
        if any(_concerns(item.path, path) for path in wanted):
            why = f"{item.path} is left out by {item.reason}"
            return f"module {name!r} is in the project ({roots}) but did not ship: {why}"
    elsewhere = next((entry for entry in sorted(shipped) if entry.endswith(f"/{stem}.py")), None)
    if elsewhere:
        directory = elsewhere.removesuffix(f"/{stem}.py")
        why = f"nodes do not import from {directory}: add it to sys_path"
        return f"module {name!r} shipped as {elsewhere}, but {why}"
    if root := _root_here(name):
        where, write = root
        advice = f"{where}; code=CodeSpec([*default_spec().roots, {write}]) ships it in any case"
    else:
        advice = "install it in the nodes' image"
        if importer := _importer(error, bundle):
            advice += f", or move what runs on the nodes out of {importer}"
    return f"module {name!r} is not on the node, and no such file shipped from {roots}: {advice}"


def _root_here(name: str) -> tuple[str, str] | None:
    """Say from where this process imports a module that belongs to no image, and which root that would be."""
    top = name.partition(".")[0]
    for editable in editables():
        if editable.brings(name) and normal(editable.name) not in everywhere():
            where = f"here it is the editable install {editable.name!r} of {editable.project}"
            return f"{where}, which ships by default if it is imported before the start", _root(
                editable, name
            )
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(top)
        for file in [found.origin, *(found.submodule_search_locations or ())] if found else ():
            place = place_of(top, Path(file or ""))
            if place is not None and has_module(place, name) and not is_installed(place):
                return f"here it comes from {place}", f"Root({str(place)!r})"
    return None


def _root(editable: Editable, name: str) -> str:
    for package, target in editable.renamed().items():
        if f"{name}.".startswith(f"{package}."):
            return f"Root({str(target)!r}, package={package!r})"
    for place in editable.places():
        if place.is_relative_to(editable.project) and has_module(place, name):
            inside = place.relative_to(editable.project).as_posix()
            return f"Root({str(editable.project)!r}" + (")" if inside == "." else f", sys_path=[{inside!r}])")
    return f"Root({str(editable.project)!r})"


def _importer(error: BaseException | None, bundle: CodeBundle) -> str | None:
    """Return the last line of a file of the bundle, as it lies on a node, in the error's traceback."""
    trace, found = error.__traceback__ if error else None, None
    sources = {file.path: file.source for file in bundle.selection.files if file.path.startswith(MODULES)}
    while trace is not None:
        _, shipped, file = trace.tb_frame.f_code.co_filename.partition(f"/{bundle.digest}/tree/")
        if shipped:
            found = f"{sources.get(file, file)}, which imports it in line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _is_module(entry: str, path: str) -> bool:
    return entry == f"{path}.py" or entry.startswith(f"{path}/")


def _concerns(left_out: str, module: str) -> bool:
    if left_out.endswith("/"):
        return f"{module}/".startswith(left_out)
    return left_out in {f"{module}.py", f"{module}/__init__.py"}
