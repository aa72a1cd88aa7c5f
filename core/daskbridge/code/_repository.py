"""Find the ignore rules that a repository has above a root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._rules import rules_file

if TYPE_CHECKING:
    from daskbridge.code._rules import Rules


def repository_rules(root: str) -> tuple[Rules, ...]:
    """Return the rules of git's ``info/exclude`` and of every ``.gitignore`` above ``root``, weakest first.

    Paths are relative to ``root``. A root that these rules would leave out was chosen on
    purpose: then they say nothing.
    """
    path = Path(root)
    top = next((place for place in (path, *path.parents) if (place / ".git").exists()), None)
    if top is None:
        return ()
    files = [(_git_directory(top / ".git") / "info/exclude", top)]
    files += [(place / ".gitignore", place) for place in reversed(path.parents) if place.is_relative_to(top)]
    found: list[Rules] = []
    for file, place in files:
        below = "" if place == path else f"{path.relative_to(place).as_posix()}/"
        if made := rules_file(str(file), os.path.relpath(file, root), above=below):
            found.append(made)
    verdicts = (made.verdict("") for made in reversed(found) if made.above)
    left_out = next((verdict for verdict in verdicts if verdict), None)
    return () if left_out and left_out[0] else tuple(found)


def _git_directory(git: Path) -> Path:
    """Follow the files by which worktrees and submodules say where their repository is."""
    if git.is_file():
        git = git.parent / _read(git).removeprefix("gitdir:").strip()
    common = git / "commondir"
    return git / _read(common) if common.is_file() else git


def _read(file: Path) -> str:
    return file.read_text("utf-8", "surrogateescape").strip()
