"""The project of a module that an orchestrator has imported: its file, not the script, says where it lies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from daskbridge.code._project import default_spec, is_installed, is_too_wide, project_spec

if TYPE_CHECKING:
    from daskbridge.code._spec import CodeSpec


def module_spec(name: str | None, *, working: Path | None = None) -> CodeSpec | Literal[False]:
    """Return the spec of the project that the module ``name`` of this process comes from.

    That of an installed module is False: the nodes have it. A script or a prompt is what
    :func:`default_spec` finds. ``working`` is the directory in which an orchestrator put the project, if
    it did: the module's project is then all of it. Raises :class:`~daskbridge.errors.BundleError` where
    that would ship far too much.

    >>> module_spec("email")
    False
    >>> module_spec(None) == default_spec()
    True
    """
    root = import_root(name)
    if root is None:
        return default_spec()
    if is_installed(root):
        return False
    if working is not None and root.is_relative_to(working) and not is_too_wide(working):
        return project_spec(working)
    return default_spec(root)


def import_root(name: str | None) -> Path | None:
    """Return the directory on ``sys.path`` that a module came from; None for a script or a prompt.

    >>> import email.parser
    >>> import_root("email.parser") == import_root("email")
    True
    """
    file = getattr(sys.modules.get(name), "__file__", None) if name not in {None, "__main__"} else None
    if name is None or file is None:
        return None
    place = Path(file).absolute()
    return place.parents[name.count(".") + (place.name == "__init__.py")]
