"""Amounts of a resource: a quantity or a pair of them, and GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daskbridge.errors import TopologyError
from daskbridge.topology._quantity import PATTERN, nearest_quantity, parse_quantity
from daskbridge.topology._setting import Kind, join, wrong

if TYPE_CHECKING:
    from fractions import Fraction

_MOST: Final = 2**63 - 1
_MODEL: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*:[1-9][0-9]*$"
_PAIR: Final = 2
_GIBIBYTES_BELOW: Final = 128


@dataclass(frozen=True)
class Quantity(Kind):
    """Accept a Kubernetes quantity of at least ``least``, or a pair (request, limit) of them."""

    example: str
    least: str
    bytes: bool = False
    auto: bool = False

    def check(self, value: Any, path: str) -> Any:  # noqa: ANN401 -- kept as it was given
        if self.auto and value == "auto":
            return value
        if not isinstance(value, list | tuple):
            self._exact(value, path)
            return value
        if len(value) != _PAIR:
            raise wrong(path, value, "a quantity or a pair (request, limit)")
        request, limit = value
        if self._exact(limit, join(path, "limit")) < self._exact(request, join(path, "request")):
            raise wrong(
                path, value, "a limit of at least the request", "write (request, limit), in this order"
            )
        return request, limit

    def _exact(self, value: Any, path: str) -> Fraction:  # noqa: ANN401 -- checked here
        expected = f"a quantity such as {self.example}"
        try:
            exact = parse_quantity(value)
        except TopologyError as error:
            near = nearest_quantity(value) if self.bytes else None
            raise wrong(path, value, expected, near and f"did you mean {near!r}?") from error
        if exact < parse_quantity(self.least):
            raise wrong(path, value, f"{expected}, at least {self.least},", self._meant(value))
        if exact > _MOST:
            raise wrong(path, value, f"{expected}, below 8Ei")
        return exact

    def _meant(self, few: object) -> str | None:
        found = re.fullmatch(r"([1-9][0-9.]*)m?", str(few))
        if not found or not self.bytes:
            return None
        unit = "Gi" if parse_quantity(found[1]) < _GIBIBYTES_BELOW else "Mi"
        return f"no unit means bytes, m thousandths of them; did you mean '{found[1]}{unit}'?"

    def schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": float(parse_quantity(self.least))}
        one: dict[str, Any] = {"anyOf": [number, {"type": "string", "pattern": PATTERN, "maxLength": 64}]}
        pair = {
            "type": "array",
            "items": one,
            "minItems": 2,
            "maxItems": 2,
            "description": "Request and limit.",
        }
        return {"anyOf": [*one["anyOf"], pair, *([{"const": "auto"}] if self.auto else [])]}


@dataclass(frozen=True)
class Gpu(Kind):
    """Accept a count, ``model:count``, or an orchestrator's own object."""

    def check(self, value: Any, path: str) -> Any:  # noqa: ANN401 -- kept as it was given
        expected = "a whole number or 'model:count' such as 'A100:2'"
        if isinstance(value, str):
            if re.fullmatch(_MODEL[1:-1], value):
                return value
            hint = f"write gpu={value}, without quotes" if value.isdigit() else f"did you mean '{value}:1'?"
            raise wrong(path, value, expected, hint if value.strip() else None)
        if isinstance(value, bool | float | list | tuple | dict | set) or (
            isinstance(value, int) and value < 0
        ):
            raise wrong(path, value, expected)
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _MODEL}]}


CPU: Final = Quantity("2, 0.5 or '500m'", least="1m")
MEMORY: Final = Quantity("'512Mi' or '4Gi'", least="1Mi", bytes=True)
STORAGE: Final = Quantity("'10Gi'", least="1Mi", bytes=True)
SHARED_MEMORY: Final = Quantity("'1Gi' or 'auto'", least="1Mi", bytes=True, auto=True)
