"""Word the census for people."""

from __future__ import annotations

import sys
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from census.parse import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from census.parse import Tally
    from daskbridge.runtime import Step

TOP = 15


def table(tally: Tally, top: int = TOP) -> str:
    """Return the packages with the most lines, the rest as one row, and the totals."""
    ranked = sorted(tally.items(), key=lambda item: (-item[1].lines, item[0]))
    rest, total = (sum((counts for _, counts in items), Counts()) for items in (ranked[top:], ranked))
    rows: list[Sequence[str]] = [("package", "from", *(field.name for field in fields(Counts)))]
    rows += [(*package, *_figures(counts)) for package, counts in ranked[:top]]
    if ranked[top:]:
        rows.append((f"{len(ranked) - top} others", "", *_figures(rest)))
    rows.append((f"{len(ranked)} packages", "", *_figures(total)))
    return _aligned(rows, texts=2)


def timings(timeline: Iterable[Step]) -> str:
    """Return the steps of a run, each with its seconds and what came of it."""
    return "\n".join(f"{step.name:<10}{step.seconds:6.2f} s  {step.detail}".rstrip() for step in timeline)


def show_progress(done: int, total: int) -> None:
    """Keep one line on a terminal up to date; write nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{done} of {total} batches", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _figures(counts: Counts) -> list[str]:
    return [f"{number:,}" for number in astuple(counts)]


def _aligned(rows: Sequence[Sequence[str]], texts: int) -> str:
    """Align the first ``texts`` columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
