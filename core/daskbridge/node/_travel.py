"""Pickle a class of this package as the package's source text.

A node may lack daskbridge and may run another Python: a class pickled by reference is missing
there, one pickled by value crashes another minor version's interpreter (measured: 3.11 into
3.12 is a segmentation fault). Source text compiles anywhere, so an old worker lives long enough
to say which version it has.
"""

from __future__ import annotations

import json
import pickle
import sys
import zlib
from functools import cache
from hashlib import sha256
from importlib import import_module
from typing import Any

#: In the order in which a node executes them: a module may import only those before it.
MODULES = (
    "_travel",
    "compress",
    "tar",
    "unpack",
    "activate",
    "places",
    "seal",
    "workplace",
    "install",
    "archive",
    "gate",
    "origin",
    "code",
    "exchange",
    "logs",
    "environment",
    "guard",
    "lease",
    "installed",
    "questions",
)

_LOADER = """
def load(name, sources, module, cls, state):
    import json, linecache, pickle, sys, types, zlib
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = []
        package.SOURCES = sources
        sys.modules[name] = package
        for stem, text in json.loads(zlib.decompress(sources)).items():
            full = name + "." + stem
            made = types.ModuleType(full)
            made.__package__ = name
            made.__file__ = "<" + full + ">"
            linecache.cache[made.__file__] = (len(text), None, text.splitlines(True), made.__file__)
            sys.modules[full] = made
            setattr(package, stem, made)
            try:
                exec(compile(text, made.__file__, "exec"), made.__dict__)
            except BaseException:
                for known in [key for key in sys.modules if key.split(".")[0] == name]:
                    del sys.modules[known]
                raise
    kind = getattr(sys.modules[name + "." + module], cls)
    made = kind.__new__(kind)
    made.__dict__.update(pickle.loads(zlib.decompress(state)))
    return made
"""


class Travels:
    """Make instances of a subclass unpickle on nodes that have no daskbridge.

    Only the instance's ``__dict__`` travels beside the source, so keep it small and picklable.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        sources = _sources()
        scope = {
            "boot": _LOADER,
            "name": _name(sources),
            "sources": sources,
            "module": type(self).__module__.rpartition(".")[2],
            "cls": type(self).__name__,
            # unreadable in Dask's DEBUG log, which shows messages: a store's URL has credentials
            "state": zlib.compress(pickle.dumps(self.__dict__)),
        }
        return eval, ("(exec(boot), load(name, sources, module, cls, state))[1]", scope)


def arrived() -> None:
    """Let plugins that travel find this package where they would be compiled from their source, the same.

    For a process that runs the very daskbridge from which they come, and has imported what they need.
    """
    name = _name(_sources())
    package = sys.modules[name] = sys.modules[__name__.rpartition(".")[0]]
    for stem in MODULES:
        sys.modules[f"{name}.{stem}"] = import_module(f"{package.__name__}.{stem}")


def _name(sources: bytes) -> str:
    return f"daskbridge_node_{sha256(sources).hexdigest()[:12]}"


@cache
def _sources() -> bytes:
    package = sys.modules[__name__.rpartition(".")[0]]
    carried: bytes | None = getattr(package, "SOURCES", None)
    if carried is not None:
        return carried
    from importlib.resources import files

    texts = {stem: (files(package) / f"{stem}.py").read_text("utf-8") for stem in MODULES}
    return zlib.compress(json.dumps(texts).encode(), 9)
