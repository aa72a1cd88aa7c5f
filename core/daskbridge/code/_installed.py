"""Code that the nodes' image has already: name it, and know which bytes of it this process runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._project import is_installed
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class InstalledCode:
    """Say that the nodes' image has the code: nothing ships, but it must be the same everywhere.

    ``modules`` are import names, such as the module of the decorated function. Compared are
    these, and whatever else this process has loaded from the same entries of ``sys.path``; of
    installed packages only the named modules' own. See :func:`~daskbridge.code.compare_code`.
    Raises :class:`~daskbridge.errors.BundleError` for a name that can't be one, for
    ``__main__`` and for none at all.

    >>> InstalledCode(["shop.prices"]).modules
    ('shop.prices',)
    """

    modules: tuple[str, ...]

    def __init__(self, modules: Iterable[str]) -> None:
        names = tuple(dict.fromkeys((modules,) if isinstance(modules, str) else modules))
        if not names:
            raise BundleError("InstalledCode names no module", hint="name the module of your task")
        for name in names:
            if name == "__main__":
                msg = "InstalledCode names '__main__', which is another program on every node"
                raise BundleError(msg, hint="name the modules that it imports; its own functions go by value")
            if not all(name.split(".")):
                msg = f"InstalledCode: {name!r} is not the name of a module"
                raise BundleError(msg, hint="name it in full, as in 'package.module'")
        object.__setattr__(self, "modules", names)

    def digests(self) -> dict[str, str]:
        """Return the sha256 of each compared module's file, in the order of their names.

        Runs in the driver and blocks while it reads the files; imports nothing. Raises
        :class:`~daskbridge.errors.BundleError` for a module without a file that can be read.

        >>> list(InstalledCode(["json"]).digests())[:2]
        ['json', 'json.decoder']
        """
        from daskbridge.node.installed import MISSING, UNREADABLE, digest, locate

        loaded = _loaded()
        files = {name: loaded.get(name) or locate(name) for name in self.modules}
        scopes = {_scope(name, file) for name, file in files.items() if file} - {None}
        files |= {name: file for name, file in loaded.items() if _scope(name, file) in scopes}
        found = {name: digest(files[name]) for name in sorted(files)}
        for name, value in found.items():
            if value in {MISSING, UNREADABLE}:
                msg = f"module {name!r} has no file that can be compared here: {files[name] or value}"
                raise BundleError(msg, hint="correct the name in InstalledCode, or ship the code")
        return found


def _loaded() -> dict[str, str]:
    """Return the modules of this process that have a file, each with its path."""
    found = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return {name: file for name, file in found.items() if file and name not in {"__main__", "__mp_main__"}}


def _scope(module: str, file: str) -> tuple[Path, str] | None:
    """Return what is compared as a whole: an entry of ``sys.path``, or one installed package in it.

    None for a module that was loaded under another name than its file's.
    """
    place, parts = Path(file), tuple(module.split("."))
    stem = place.name.partition(".")[0]
    inside = place.parent if stem == "__init__" else place.with_name(stem)
    if inside.parts[-len(parts) :] != parts:
        return None
    root = inside.parents[len(parts) - 1]
    return root, parts[0] if _installed(root) else ""


_installed = cache(is_installed)
