"""Kinds of mappings: each is copied, so that later changes of the original change nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from daskbridge.topology._kinds import is_number, is_text
from daskbridge.topology._setting import Kind, join, wrong

_DEEPEST: Final = 50
_VARIABLE: Final = r"^[A-Za-z_.-][A-Za-z0-9_.-]*$"
_PROVISIONER: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
#: How deep the schema looks for dots; Dask's own configuration is five deep.
_NESTED: Final = 6
#: Mappings of Dask's configuration whose keys are loggers, variables, resources or tasks.
_OPEN: Final = frozenset({"logging", "environ", "pre-spawn-environ", "resources", "default-task-durations"})
_RESOURCE: Final = r"^[^\s=,]+$"


@dataclass(frozen=True)
class Environment(Kind):
    """Accept environment variables; their values are never shown."""

    def check(self, value: Any, path: str) -> dict[str, str]:  # noqa: ANN401 -- checked here
        kept = named(value, path, _VARIABLE, "an environment variable's name")
        for name, content in kept.items():
            if not isinstance(content, str) or not is_text(content):
                hint = (
                    "quote it: YAML reads true, 1 and 1.5 as other types"
                    if not isinstance(content, str)
                    else None
                )
                raise wrong(join(path, name), content, "a string without null characters", hint, secret=True)
        return kept

    def show(self, value: dict[str, str]) -> str:
        return f"{{{', '.join(f'{name!r}: ...' for name in value)}}}"

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": _VARIABLE},
            "additionalProperties": {"type": "string", "pattern": r"^[^\u0000]*$"},
        }


@dataclass(frozen=True)
class AbstractResources(Kind):
    """Accept Dask's abstract resources of a worker: names and positive numbers."""

    def check(self, value: Any, path: str) -> dict[str, float]:  # noqa: ANN401 -- checked here
        kept = named(value, path, _RESOURCE, "a name without spaces, '=' and ','")
        for name, amount in kept.items():
            if not is_number(amount) or amount <= 0:
                raise wrong(join(path, name), amount, "a positive number")
        return kept

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": _RESOURCE},
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        }


@dataclass(frozen=True)
class DaskConfig(Kind):
    """Accept Dask configuration, nested as in Dask's own YAML files."""

    def check(self, value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 -- checked here
        kept = plain_mapping(value, path)
        _refuse_dots(kept, path)
        return kept

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        for _ in range(_NESTED):
            keys = {"pattern": r"^[^.\u0000]*$"}
            known = dict.fromkeys(sorted(_OPEN), True)
            schema = {"propertyNames": keys, "properties": known, "additionalProperties": schema}
        return {"type": "object", **schema}


@dataclass(frozen=True)
class Options(Kind):
    """Accept options that only one provisioner knows, by the provisioner's name."""

    def check(self, value: Any, path: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 -- checked here
        kept = named(value, path, _PROVISIONER, "a provisioner's name")
        return {name: plain_mapping(options, join(path, name)) for name, options in kept.items()}

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": _PROVISIONER},
            "additionalProperties": {"type": "object"},
        }


def _refuse_dots(config: dict[str, Any], path: str) -> None:
    """Refuse ``scheduler.work-stealing`` as a key: Dask splits that in ``dask.config.set`` only.

    Merged as it is, it would have no effect.
    """
    for name, value in config.items():
        if "." in name:
            nested = reduce(lambda inner, part: f"{{{part!r}: {inner}}}", reversed(name.split(".")), "...")
            raise wrong(path, name, "a key without dots", f"nest it: {nested}")
        if isinstance(value, dict) and name not in _OPEN:
            _refuse_dots(value, join(path, name))


def named(value: Any, path: str, pattern: str, what: str) -> dict[str, Any]:  # noqa: ANN401 -- checked here
    """Copy a mapping whose keys match ``pattern``."""
    if not isinstance(value, Mapping):
        raise wrong(path, value, "a mapping", secret=True)
    for name in value:
        if not isinstance(name, str) or not re.fullmatch(pattern[1:-1], name) or not is_text(name):
            raise wrong(path, name, what)
    return dict(value)


def plain_mapping(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 -- checked here
    """Copy a mapping that JSON can hold; tuples become lists."""
    if not isinstance(value, Mapping):
        raise wrong(path, value, "a mapping")
    kept: dict[str, Any] = _plain(value, path, 0)
    return kept


def _plain(value: Any, path: str, depth: int) -> Any:  # noqa: ANN401 -- checked here
    if depth > _DEEPEST:
        raise wrong(path, value, f"a value nested at most {_DEEPEST} deep")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not is_text(key):
                raise wrong(
                    path, key, "a key that is a string", "quote it: YAML reads 1 and yes as other types"
                )
        return {key: _plain(each, join(path, key), depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(value)]
    if (
        value is None
        or isinstance(value, bool)
        or is_number(value)
        or (isinstance(value, str) and is_text(value))
    ):
        return value
    raise wrong(path, value, "what JSON can hold", "quote it if it is meant as a string")
