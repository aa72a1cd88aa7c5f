"""Environments that differ from the driver's: without some of its packages, or with others."""

from __future__ import annotations

import venv
from pathlib import Path

import distributed


def driver_without(home: Path, *parts: str) -> Path:
    """Make an environment that has what the driver has, but for what has one of these parts in its name."""
    venv.create(home, symlinks=True)
    [theirs] = home.glob("lib/python*/site-packages")
    for found in Path(distributed.__file__).parents[1].iterdir():
        if found.suffix != ".pth" and not any(part in found.name for part in parts):
            (theirs / found.name).symlink_to(found)
    return home / "bin" / "python"


def distribution(directory: Path, name: str, version: str, *modules: str) -> str:
    """Make what looks like an installed distribution; ``directory`` is for the PYTHONPATH of a process."""
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{module}.py,,\n" for module in modules))
    for module in modules:
        (directory / f"{module}.py").write_text(f"__version__ = {version!r}\n")
    return str(directory)


def other_version(directory: Path, package: str, version: str) -> str:
    """Let a process with ``directory`` on its PYTHONPATH say that it has another version of a package."""
    # distributed asks the metadata; before 2026 it asked the module
    distribution(directory, package, version)
    (directory / "sitecustomize.py").write_text(f"import {package}\n{package}.__version__ = {version!r}\n")
    return str(directory)
