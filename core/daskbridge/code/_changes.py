"""Say in what two bundles differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daskbridge.code._bundle import CodeBundle

_SHOWN = 5


def changes(old: CodeBundle, new: CodeBundle) -> str:
    """Say which files differ between two bundles, some by name.

    >>> from daskbridge.code import CodeSpec, build_bundle
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "helper.py")
    >>> _ = file.write_text("answer = 42")
    >>> with build_bundle(CodeSpec([file.parent])) as old:
    ...     _ = file.write_text("answer = 43"), file.with_name("more.py").touch()
    ...     with build_bundle(CodeSpec([file.parent])) as new:
    ...         changes(old, new)
    'changed: helper.py; added: more.py'
    """
    from daskbridge.code._difference import difference

    found = difference(old.manifest, new.manifest)
    kinds = {
        "changed": [change.before.path for change in found.changed],
        "added": [entry.path for entry in found.added],
        "removed": [entry.path for entry in found.removed],
    }
    if old.sys_path != new.sys_path:
        kinds["nodes import from"] = list(new.sys_path)
    return "; ".join(f"{kind}: {_some(paths)}" for kind, paths in kinds.items() if paths)


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(path or "." for path in paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
