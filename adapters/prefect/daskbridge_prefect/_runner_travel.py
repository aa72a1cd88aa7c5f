"""Carry the runner's modules to nodes that have no daskbridge, as source text.

On nodes, and in the flow's process beside this package, they are modules of a package whose name is
the digest of their text: Dask sends functions by name, and what a name means never changes.
"""

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

#: A node imports the first two as they arrive; the others import Prefect, which only workers have.
MODULES = (
    "_runner_scheduler",
    "_runner_worker",
    "_runner_call",
    "_runner_context",
    "_runner_loop",
    "_runner_nested",
    "_runner_post",
    "_runner_task",
)

LOADER = """
def load(name, sources, module, cls, state):
    import importlib, importlib.abc, importlib.util, json, sys, zlib
    if name not in sys.modules:
        texts = {name: "", **json.loads(zlib.decompress(sources))}
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
            def find_spec(self, full, path=None, target=None):
                if full in texts:
                    return importlib.util.spec_from_loader(full, self, is_package=full == name)
            def get_source(self, full):
                return texts[full]
            def get_filename(self, full):
                return "<" + full + ">"
            def is_package(self, full):
                return full == name
        sys.meta_path.append(Finder())
        package = importlib.import_module(name)
        package.BOOT, package.SOURCES = boot, sources
    kind = getattr(importlib.import_module(name + "." + module), cls)
    made = kind.__new__(kind)
    made.__dict__.update(state)
    return made
"""


@cache
def node_module(stem: str) -> ModuleType:
    """Return one of the modules as nodes know it, in this process."""
    name, sources = _package()
    if name not in sys.modules:
        scope = {"boot": LOADER}
        exec(LOADER, scope)  # noqa: S102 -- the text above
        scope["load"](name, sources, MODULES[0], "Travels", {})  # type: ignore[operator]
    return import_module(f"{name}.{stem}")


@cache
def _package() -> tuple[str, bytes]:
    package = files(__name__.rpartition(".")[0])
    texts = {stem: (package / f"{stem}.py").read_text("utf-8") for stem in MODULES}
    name = f"daskbridge_prefect_{sha256(json.dumps(texts).encode()).hexdigest()[:12]}"
    full = {f"{name}.{stem}": text for stem, text in texts.items()}
    return name, zlib.compress(json.dumps(full).encode(), 9)
