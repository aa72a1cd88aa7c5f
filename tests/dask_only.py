"""A Python environment with dask, distributed and what they need, and nothing else: a node's image."""

from __future__ import annotations

import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def dask_only(directory: Path) -> str:
    """Make the environment of links to installed packages; return its interpreter."""
    venv.create(directory, symlinks=True, with_pip=False)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = directory / "lib" / version / "site-packages"
    for found in _with_requirements("distributed"):
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (packages / name).symlink_to(Path(str(found.locate_file(name))))
    return str(directory / "bin" / "python")


def _with_requirements(name: str) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    left = [name]
    while left:
        name = left.pop()
        if name in found:
            continue
        found[name] = distribution(name)
        needed = map(Requirement, found[name].requires or ())
        left += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return list(found.values())
