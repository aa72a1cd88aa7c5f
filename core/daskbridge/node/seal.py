"""Notice that an installed tree is no longer what was unpacked, without reading its files.

Programs that run as the user can write there all the same, and cleaners of temporary directories
take single old files.
"""

from __future__ import annotations

import json
import os


def seal(tree: str, path: str) -> None:
    """Write to ``path`` which files ``tree`` has, with sizes and times."""
    found: dict[str, list[int]] = {}
    directories = [""]
    while directories:
        below = directories.pop()
        with os.scandir(os.path.join(tree, below)) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    directories.append(f"{name}/")
                else:
                    found[name] = _seen(os.lstat(entry.path))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


def unbroken(tree: str, path: str) -> bool:
    """Tell whether all files of ``tree`` are as they were sealed.

    What tasks have put beside them doesn't count. Costs a few microseconds per file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
        return all(_seen(os.lstat(f"{tree}{os.sep}{name}")) == seen for name, seen in known.items())
    except (OSError, ValueError, AttributeError):
        return False


def _seen(found: os.stat_result) -> list[int]:
    return [found.st_mode, found.st_size, found.st_mtime_ns]
