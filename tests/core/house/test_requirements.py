"""Pip's list of development tools and uv's dependency groups name the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_both_lists_of_development_tools_are_equal() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith(("#", "-e"))]

    assert sorted(listed) == sorted([*groups["test"], *groups["test-adapters"], *groups["lint"]])
