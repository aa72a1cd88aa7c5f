"""A limit on one number of a benchmark, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A limit on one number that comes of the figures."""

    row: str
    words: str
    value: float
    limit: float
    at_least: bool
    note: str = ""
    unit: str = "x"

    @property
    def kept(self) -> bool:
        """Tell whether the value is within the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """Say value, limit and verdict."""
        verdict = "kept" if self.kept else "MISSED"
        limit = f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}"
        line = f"{self.row:<11} {self.words:<62}{self.value:>7.2f} {self.unit:<3} {limit:<11} {verdict:<7}"
        return (line + self.note).rstrip()
