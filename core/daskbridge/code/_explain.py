"""Say why a module that the driver can import is missing on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daskbridge.code._bundle import CodeBundle


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
    advice = "install it in the nodes' image"
    if importer := _importer(error, bundle):
        advice += f", or move what runs on the nodes out of {importer}, which imports it"
    return f"module {name!r} is not on the node, and no such file shipped from {roots}: {advice}"


def _importer(error: BaseException | None, bundle: CodeBundle) -> str | None:
    """Return the last file of the bundle, as it lies on a node, in the error's traceback."""
    trace, found = error.__traceback__ if error else None, None
    while trace is not None:
        _, shipped, file = trace.tb_frame.f_code.co_filename.partition(f"/{bundle.digest}/tree/")
        found = file if shipped else found
        trace = trace.tb_next
    return found


def _is_module(entry: str, path: str) -> bool:
    return entry == f"{path}.py" or entry.startswith(f"{path}/")


def _concerns(left_out: str, module: str) -> bool:
    if left_out.endswith("/"):
        return f"{module}/".startswith(left_out)
    return left_out in {f"{module}.py", f"{module}/__init__.py"}
