"""Say once what a field holds: validation, documents, schema and capabilities all read it here."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from daskbridge.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field

_SHOWN = 80

#: Where the object under construction sits: ``workers.resources``, in a file ``cluster.yaml: workers``.
_PLACE: ContextVar[str | None] = ContextVar("daskbridge_topology_place", default=None)


class Kind(Protocol):
    """Check one kind of value and describe it as JSON Schema."""

    def check(self, value: Any, path: str) -> Any:  # noqa: ANN401 -- the input is anything, the result is the kind's
        """Return the value to keep, or raise :class:`TopologyError` for ``path``."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value in a document."""
        ...

    def show(self, value: Any) -> str:  # noqa: ANN401 -- what `check` returned
        """Return the value for ``repr`` and messages."""
        return repr(value)


@dataclass(frozen=True)
class Setting:
    """Hold what is known of a field: its kind, a sentence, the capability that setting it asks."""

    kind: Kind
    doc: str
    asks: str | None = None


def setting(kind: Kind, doc: str, *, asks: str | None = None) -> dict[str, Setting]:
    """Return the metadata of a dataclass field."""
    return {"setting": Setting(kind, doc, asks)}


def settings(owner: type[Checked] | Checked) -> Iterator[tuple[Field[Any], Setting]]:
    """Yield the fields of a class of this package with what is known of them."""
    for each in fields(owner):
        yield each, each.metadata["setting"]


def given(owner: Checked) -> Iterator[tuple[Field[Any], Setting, Any]]:
    """Yield the fields that hold something: neither None nor an empty mapping."""
    for each, known in settings(owner):
        value = getattr(owner, each.name)
        if value is not None and value != {}:
            yield each, known, value


@dataclass(frozen=True, repr=False)
class Checked:
    """Validate every field at construction, by its :class:`Setting`; ``repr`` shows what was set."""

    def __post_init__(self) -> None:
        place = _PLACE.get()
        if place is None:
            place = self._place()
        for each, known in settings(self):
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            object.__setattr__(self, each.name, known.kind.check(value, join(place, each.name)))
        self._check_together(place)

    def _place(self) -> str:
        return type(self).__name__

    def _check_together(self, place: str) -> None:
        """Check what several fields say together."""

    def __repr__(self) -> str:
        shown = (f"{each.name}={known.kind.show(value)}" for each, known, value in given(self))
        return f"{type(self).__name__}({', '.join(shown)})"


@contextmanager
def placed(path: str) -> Iterator[None]:
    """Give what is constructed inside the block the place ``path`` in its errors."""
    token = _PLACE.set(path)
    try:
        yield
    finally:
        _PLACE.reset(token)


def join(path: str, name: object) -> str:
    """Extend a path; ``cluster.yaml: `` and the empty path take a name without a dot.

    >>> join("workers", "image"), join("", "workers")
    ('workers.image', 'workers')
    """
    return f"{path}{'' if not path or path.endswith(' ') else '.'}{name}"


def wrong(
    path: str, value: object, expected: str, hint: str | None = None, *, secret: bool = False
) -> TopologyError:
    """Word a wrong value: where, what was given (if not ``secret``), what is expected, the next step."""
    shown = f"a value of type {type(value).__name__}" if secret else cut(repr(value))
    return TopologyError(f"{path}: {shown} was given, {expected} is expected", hint=hint)


def cut(text: str) -> str:
    """Shorten a text for a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
