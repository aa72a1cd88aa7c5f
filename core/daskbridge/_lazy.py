"""Resolve a package's public names on first touch (PEP 562), so that importing it loads nothing."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of ``package``, whose ``names`` live in modules.

    ``names`` maps a public name to the absolute name of the module that defines it. A name is
    looked up once, then it is an ordinary attribute of the package.
    """

    def resolve(name: str) -> Any:  # noqa: ANN401 -- any public object of the package
        try:
            module = names[name]
        except KeyError:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg) from None
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return resolve, listing
