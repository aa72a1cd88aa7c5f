"""Let one process import from an installed tree; several nodes may share that process."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .install import Installed
    from .unpack import Reference

_lock = threading.Lock()
_tree: str | None = None
_paths: list[str] = []
_users = 0


def import_paths(reference: Reference, tree: str) -> list[str]:
    """Return the absolute entries for ``sys.path``, in order."""
    return [os.path.normpath(os.path.join(tree, *entry.split("/"))) for entry in reference["sys_path"]]


def activate(reference: Reference, installed: Installed) -> None:
    """Put the tree in front of ``sys.path``; each call needs one :func:`deactivate`.

    Raises RuntimeError if this process already imports from another tree: modules that tasks
    hold can't be exchanged under them.
    """
    global _tree, _paths, _users  # noqa: PLW0603 -- sys.path is the state of the process
    paths = import_paths(reference, installed.tree)
    with _lock:
        if _users and (_tree, _paths) != (installed.tree, paths):
            os.close(installed.lease)
            old, new = os.path.basename(os.path.dirname(_tree or "")), reference["digest"]
            msg = f"process {os.getpid()} already runs the code {old[:12]}; {new[:12]} needs a new process"
            raise RuntimeError(msg)
        if not _users:
            _tree, _paths = installed.tree, paths
            sys.path[:0] = paths
            importlib.invalidate_caches()
        _users += 1


def exchange(old: Installed, reference: Reference, new: Installed) -> None:
    """Import from ``new`` in place of ``old``, whose modules leave ``sys.modules``.

    Raises RuntimeError, with nothing changed, if another node of this process uses ``old``, too.
    """
    with _lock:
        if _users > 1:
            msg = f"process {os.getpid()} is shared with other nodes: their modules can't be exchanged"
            raise RuntimeError(msg)
    deactivate(old)
    activate(reference, new)


def deactivate(installed: Installed) -> None:
    """Undo one :func:`activate`; the last one takes the paths and the imported modules away."""
    global _users  # noqa: PLW0603 -- as above
    with _lock:
        os.close(installed.lease)
        _users -= 1
        if _users:
            return
        # first the paths: a namespace package that has another part elsewhere then lies there only, and stays
        sys.path[:] = [entry for entry in sys.path if entry not in _paths]
        inside = installed.tree + os.sep
        # all before one goes: a namespace package asks its parent where it is
        imported = [name for name, module in list(sys.modules.items()) if _lies_in(inside, module)]
        for name in imported:
            del sys.modules[name]


def _lies_in(inside: str, module: object) -> bool:
    known = getattr(module, "__dict__", {})  # asking a module may make it import something
    try:
        places = [known.get("__file__"), *known.get("__path__", ())]
    except KeyError:  # a namespace package whose parent somebody took out of sys.modules
        return False
    return any(isinstance(place, str) and place.startswith(inside) for place in places)
