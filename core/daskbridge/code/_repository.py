"""Find the ignore rules that a repository has above a root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._rules import rules_file

if TYPE_CHECKING:
    from daskbridge.code._rules import Rules


def repository_rules(root: str) -> tuple[Rules, ...]:
    """Return the rules of ``.git/info/exclude`` and of every ``.gitignore`` above ``root``, weakest first.

    Paths are relative to ``root``. A root that these rules would leave out was chosen on
    purpose: then they say nothing.
    """
    path = Path(root)
    top = next((place for place in (path, *path.parents) if (place / ".git").exists()), None)
    if top is None:
        return ()
    files = [(top / ".git/info/exclude", top)]
    files += [(place / ".gitignore", place) for place in reversed(path.parents) if place.is_relative_to(top)]
    found: list[Rules] = []
    for file, place in files:
        below = "" if place == path else f"{path.relative_to(place).as_posix()}/"
        if made := rules_file(str(file), os.path.relpath(file, root), above=below):
            found.append(made)
    verdicts = (made.verdict("") for made in reversed(found) if made.above)
    left_out = next((verdict for verdict in verdicts if verdict), None)
    return () if left_out and left_out[0] else tuple(found)
