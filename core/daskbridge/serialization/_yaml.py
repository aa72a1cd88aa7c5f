"""Read YAML safely and strictly: what PyYAML would drop or leave without a place is an error."""

from __future__ import annotations

from typing import Any

import yaml


class Malformed(ValueError):
    """Report text that can't be read, with its line and column (from 1)."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.line, self.column = line, column


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 -- PyYAML's own
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _at(key.start_mark, f"duplicate key {key.value!r}")
                seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 -- PyYAML's own
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise _at(node.start_mark, str(error)) from error


def parse(text: str) -> Any:  # noqa: ANN401 -- whatever the text holds
    """Return what a YAML text holds, or raise :class:`Malformed`."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 -- a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Malformed(
            error.problem or str(error), mark.line + 1 if mark else 1, mark.column + 1 if mark else 1
        ) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise Malformed(f"character {error.character!r} is not allowed", line, column) from error


def _at(mark: yaml.Mark, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
