"""Find the Python files to count and cut them into batches; runs in the driver."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A task takes a fraction of a second: long beside Dask's millisecond, short for a progress display.
BATCH_BYTES = 1_000_000
BATCH_FILES = 200

SKIPPED = {"__pycache__", "dist-packages", "site-packages"}


class Package(NamedTuple):
    """Name a top-level package or module and where it comes from."""

    name: str
    origin: str


class Source(NamedTuple):
    """Name one file: its package, its path and its size in bytes."""

    package: Package
    path: str
    size: int


def environment() -> dict[str, Path]:
    """Return the directories of this interpreter's packages: origin to directory."""
    places = {"stdlib": "stdlib", "site-packages": "purelib", "site-packages (binary)": "platlib"}
    found: dict[Path, str] = {}
    for origin, scheme in places.items():
        found.setdefault(Path(sysconfig.get_path(scheme)).resolve(), origin)
    return {origin: directory for directory, origin in found.items()}


def find_sources(roots: dict[str, Path]) -> list[Source]:
    """Return every ``.py`` file below the roots, ordered by path; a nested site-packages is left out."""
    return [source for origin, root in roots.items() for source in _below(root.resolve(), origin)]


def batches(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """Cut the files into tasks of at most ``BATCH_BYTES`` (but at least one file) and ``BATCH_FILES``."""
    batch: list[Source] = []
    size = 0
    for source in sources:
        if batch and (size + source.size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += source.size
    if batch:
        yield batch


def _below(root: Path, origin: str) -> Iterator[Source]:
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(set(subdirectories) - SKIPPED)
        for name in sorted(names):
            path = Path(directory, name)
            if path.suffix == ".py" and path.is_file():
                package = Package(path.relative_to(root).parts[0].removesuffix(".py"), origin)
                yield Source(package, str(path), path.stat().st_size)
