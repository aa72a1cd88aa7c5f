"""Make instances unpickle on nodes that lack their package: its source text goes with them.

A node may lack daskbridge and every adapter, and may run another Python: a class pickled by reference
is missing there, one pickled by value crashes another minor version's interpreter (measured: 3.11 into
3.12 is a segmentation fault). Source text compiles anywhere, so an old worker lives long enough
to say which version it has.

On nodes this module is the package.
"""

from __future__ import annotations

import pickle
import sys
import zlib
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Self

_UNPICKLE = """(
    name in __import__("sys").modules or exec(arrive),
    getattr(__import__("importlib").import_module(module), cls).arrived(state),
)[1]"""


class Travels:
    """Let instances of a subclass unpickle on nodes that lack its package.

    All modules of the package travel as source text, and nodes import each when it is needed. They use
    the standard library, ``distributed`` and each other (``from . import ...``), and whatever else those
    nodes have that import them. Packages below it stay behind, and so does its ``__init__``, which does
    nothing but import this class.

    On nodes the package's name has the digest of its text, so what a name means never changes. Of the
    instance its ``__dict__`` travels: keep it small, and picklable. Raises TypeError when an instance is
    pickled whose class lies in no such package.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        package, _, stem = type(self).__module__.rpartition(".")
        carried: tuple[str, bytes, str] | None = getattr(sys.modules.get(package), "CARRIED", None)
        if carried is None:
            from daskbridge._node_source import packed

            carried = packed(package)
        name, sources, arrive = carried
        scope = {
            "name": name,
            "sources": sources,
            "arrive": arrive,
            "module": f"{name}.{stem}",
            "cls": type(self).__name__,
            # unreadable in Dask's DEBUG log, which shows messages: a store's URL has credentials
            "state": zlib.compress(pickle.dumps(self.__dict__)),
        }
        return eval, (_UNPICKLE, scope)

    @classmethod
    def arrived(cls, state: bytes) -> Self:
        """Make an instance of what was packed."""
        made = cls.__new__(cls)
        made.__dict__.update(pickle.loads(zlib.decompress(state)))  # noqa: S301 -- the source came with it
        return made


class Texts(MetaPathFinder, ExecutionLoader):
    """Import the modules of a package from their texts, of which ``""`` is its own."""

    def __init__(self, package: ModuleType, texts: Mapping[str, str], *carried: str | bytes) -> None:
        name = package.__name__
        self._texts = {f"{name}.{stem}".rstrip("."): text for stem, text in texts.items()}
        package.__spec__ = ModuleSpec(name, self, is_package=True)
        package.__path__ = []
        vars(package)["CARRIED"] = carried
        sys.meta_path.append(self)
        sys.modules.setdefault(name, package)  # last: another thread may be as far

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Find what is among the texts."""
        if name not in self._texts:
            return None
        spec = ModuleSpec(name, self, origin=self.get_filename(name))
        spec.has_location = True  # what shows source asks a module for its file
        return spec

    def get_source(self, name: str) -> str:
        """Return a module's text, whose lines tracebacks show."""
        return self._texts[name]

    def get_filename(self, name: str) -> str:
        """Return a name that is no file's; of one in angle brackets tracebacks would show no lines."""
        return f"{name.replace('.', '/')}.py"
