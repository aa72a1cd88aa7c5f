"""Kinds that hold objects of this package, given as such or as plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from daskbridge.errors import TopologyError, unknown
from daskbridge.topology._kinds import LABEL
from daskbridge.topology._mappings import named
from daskbridge.topology._setting import Checked, Kind, join, placed, wrong

C = TypeVar("C", bound=Checked)


@dataclass(frozen=True)
class Nested(Kind):
    """Accept an object of ``owner``, or a mapping with its fields."""

    owner: type[Checked]

    def check(self, value: Any, path: str) -> Checked:  # noqa: ANN401 -- checked here
        if isinstance(value, self.owner):
            return value
        if not isinstance(value, Mapping):
            secret = isinstance(value, list | tuple)  # its items may hold env
            raise wrong(path, value, f"a {self.owner.__name__} or a mapping with its fields", secret=secret)
        return build(self.owner, value, path)

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.owner.__name__}"}


@dataclass(frozen=True)
class NestedLike(Nested):
    """Accept also a foreign object of the same shape, such as ``flyte.Resources``."""

    def check(self, value: Any, path: str) -> Checked:  # noqa: ANN401 -- checked here
        names = [each.name for each in fields(self.owner)]
        if isinstance(value, self.owner | Mapping | type) or not all(hasattr(value, name) for name in names):
            return super().check(value, path)
        own = getattr(value, "__dataclass_fields__", None) or getattr(value, "__dict__", {})
        given = {name: getattr(value, name) for name in {*own, *names} if not name.startswith("_")}
        return build(self.owner, {name: each for name, each in given.items() if each is not None}, path)


@dataclass(frozen=True)
class Groups(Kind):
    """Accept objects of ``owner`` by name; ``default`` is taken."""

    owner: type[Checked]

    def check(self, value: Any, path: str) -> dict[str, Checked]:  # noqa: ANN401 -- checked here
        kept = named(value, path, LABEL, "a name of lower-case letters, digits and '-'")
        if "default" in kept:
            raise wrong(path, "default", "another name", "the group called default is `workers`")
        return {name: Nested(self.owner).check(each, join(path, name)) for name, each in kept.items()}

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": LABEL, "not": {"const": "default"}},
            "additionalProperties": Nested(self.owner).schema(),
        }


def build(owner: type[C], values: Mapping[Any, Any], path: str) -> C:
    """Construct ``owner`` at ``path`` from a mapping; an unknown key is an error."""
    names = [each.name for each in fields(owner)]
    for key in values:
        if key not in names:
            place = path if not path or path.endswith(" ") else f"{path}: "
            raise TopologyError(place + unknown("key", key, names))
    with placed(path):
        return owner(**values)
