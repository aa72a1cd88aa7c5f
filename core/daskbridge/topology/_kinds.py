"""Kinds of single values: counts, seconds, names, images."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import Any, Final

from daskbridge.topology._setting import Kind, wrong

#: Waits of any kind can hold it; Python's locks end at 2**63 nanoseconds.
_LONGEST: Final = 1e9
LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


@dataclass(frozen=True)
class Count(Kind):
    """Accept a whole number of at least one; None where it stands for ``default``."""

    default: int | None = None

    def check(self, value: Any, path: str) -> int:  # noqa: ANN401 -- checked here
        if value is None and self.default is not None:
            return self.default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            whole = isinstance(value, str) and value.strip().isdecimal()
            raise wrong(
                path,
                value,
                "a whole number of at least 1",
                f"write {value}, without quotes" if whole else None,
            )
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self.default is None else ["integer", "null"], "minimum": 1}


@dataclass(frozen=True)
class Seconds(Kind):
    """Accept a positive, finite number of seconds."""

    def check(self, value: Any, path: str) -> float:  # noqa: ANN401 -- checked here
        if not is_number(value) or not 0 < value <= _LONGEST:
            raise wrong(path, value, "a positive number of seconds", "write ten minutes as 600")
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": _LONGEST}


@dataclass(frozen=True)
class Image(Kind):
    """Accept a container image's name, or an orchestrator's own image object."""

    def check(self, value: Any, path: str) -> Any:  # noqa: ANN401 -- an image object is kept as it is
        plain = isinstance(value, bool | int | float | bytes | list | tuple | dict | set)
        if plain or (isinstance(value, str) and not re.fullmatch(r"[!-~]+", value)):
            hint = "leave image out to use the target's default" if value == "" else None
            raise wrong(path, value, "an image's name such as 'ghcr.io/dask/dask:latest'", hint)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[!-~]+$"}


@dataclass(frozen=True)
class Directory(Kind):
    """Accept a directory's path and keep it as a string; it is a path on the nodes."""

    def check(self, value: Any, path: str) -> str:  # noqa: ANN401 -- checked here
        kept = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(kept, str) or not kept.strip() or not is_text(kept):
            raise wrong(path, value, "a directory's path on the nodes such as '/tmp'")
        return kept

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"\S"}


def is_number(value: object) -> bool:
    """Tell whether ``value`` is a finite number; ``True`` is none.

    >>> is_number(1.5), is_number(True), is_number(float("nan"))
    (True, False, False)
    """
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def is_text(value: str) -> bool:
    r"""Tell whether every document and every process environment can hold ``value``.

    >>> is_text("café"), is_text("\x00"), is_text("\ud800")
    (True, False, False)
    """
    return "\0" not in value and not re.search(r"[\ud800-\udfff]", value)
