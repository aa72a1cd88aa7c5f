"""Read the source text of a package that travels to nodes, in the process that it comes from."""

from __future__ import annotations

import json
import sys
import zlib
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

#: What a node executes to have the package; its modules are imported later.
_ARRIVE = """
import json, types, zlib
texts = json.loads(zlib.decompress(sources))
package = types.ModuleType(name)
exec(compile(texts[""], name + ".py", "exec"), package.__dict__)
package.Texts(package, texts, name, sources, arrive)
"""


@cache
def packed(package: str) -> tuple[str, bytes, str]:
    """Return what a pickle carries of a package: its name on nodes, its sources, how they arrive.

    Raises TypeError for a package that is none to travel.
    """
    if not (package and hasattr(import_module(package), "Travels")):
        msg = (
            f"{package or 'a module of no package'} does not travel: put what nodes need into a package, "
            "and let its __init__ say `from daskbridge.plugins import Travels`"
        )
        raise TypeError(msg)
    modules = [file for file in files(package).iterdir() if file.name.endswith(".py")]
    texts = {file.name[:-3]: file.read_text("utf-8") for file in modules if file.name != "__init__.py"}
    texts[""] = (files("daskbridge") / "_travel.py").read_text("utf-8")
    text = json.dumps(texts, sort_keys=True).encode()
    name = f"{package.replace('.', '_')}_{sha256(text).hexdigest()[:12]}"
    return name, zlib.compress(text, 9), _ARRIVE


def node_module(module: str) -> ModuleType:
    """Return a module of a package that travels, as nodes know it, in this process.

    Dask sends functions by name, and so instances of classes that don't travel by themselves: take what
    nodes are to have of such a package from here. They know it once an instance that travels has arrived.
    Raises TypeError if the package is none to travel.
    """
    package, _, stem = module.rpartition(".")
    name, sources, arrive = packed(package)
    if name not in sys.modules:
        exec(arrive, {"name": name, "sources": sources, "arrive": arrive})  # noqa: S102 -- the text above
    return import_module(f"{name}.{stem}")


def already_here(package: str) -> None:
    """Let what arrives find this process's own package, with all its modules imported.

    For a process that runs the very code that it is sent.
    """
    name, sources, _ = packed(package)
    sys.modules[name] = sys.modules[package]
    for stem in json.loads(zlib.decompress(sources)):
        if stem:
            sys.modules[f"{name}.{stem}"] = import_module(f"{package}.{stem}")
