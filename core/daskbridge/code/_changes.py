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
    before, after = ({entry.path: entry for entry in each.manifest.entries} for each in (old, new))
    kinds = {
        "changed": [path for path, entry in after.items() if before.get(path, entry) != entry],
        "added": [path for path in after if path not in before],
        "removed": [path for path in before if path not in after],
    }
    if old.sys_path != new.sys_path:
        kinds["nodes import from"] = list(new.sys_path)
    return "; ".join(f"{kind}: {_some(paths)}" for kind, paths in kinds.items() if paths)


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(path or "." for path in paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
