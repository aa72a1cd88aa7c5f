"""Source trees of several sizes, the same for all with the same Python: commented code and some data."""

from __future__ import annotations

import random
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from _disks import fastest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USUAL = ("small", "medium", "large")
#: Files and bytes that are aimed at; the last three differ from medium in one of them.
SIZES = {
    "small": (50, 500_000),
    "medium": (2_000, 20_000_000),
    "large": (20_000, 200_000_000),
    "coarse": (200, 20_000_000),
    "fine": (20_000, 20_000_000),
    "heavy": (2_000, 200_000_000),
}
#: The module at the top that is changed and imported.
USERMOD = "usermod.py"
_IGNORED = "*.pyc\n__pycache__/\nbuild/\n.venv/\n*.log\n!keep.log\n"
_DATA = 0.05
_DEEPEST = 6
_LINES = 60


@dataclass(frozen=True)
class Tree:
    """A project on disk, with the number of its files and their bytes."""

    name: str
    path: Path
    files: int
    bytes: int

    def __str__(self) -> str:
        """Describe it in a heading."""
        return f"{self.name}: {self.files:,} files, {self.bytes / 1e6:.1f} MB"


@contextmanager
def trees(names: Sequence[str]) -> Iterator[list[Tree]]:
    """Make the trees ``names`` in a temporary directory, which goes away with the block."""
    with TemporaryDirectory(prefix="daskbridge-trees-", dir=fastest()) as place:
        yield [_make(name, Path(place, name)) for name in names]


def _make(name: str, path: Path) -> Tree:
    files, total = SIZES[name]
    rng = random.Random(name)  # noqa: S311 -- the same tree each time
    directories = ["proj"]
    for number in range(max(3, files // 12)):
        parent = rng.choice(directories)
        directories.append(f"{parent if parent.count('/') < _DEEPEST else 'proj'}/pkg{number}")
    for directory in directories:
        (path / directory).mkdir(parents=True)
        (path / directory / "__init__.py").touch()
    shares = [rng.lognormvariate(0, 1.1) for _ in range(files)]
    unit = total / sum(shares)
    for number, share in enumerate(shares[len(directories) :]):
        place, size = path / rng.choice(directories), max(30, int(share * unit))
        if rng.random() < _DATA:
            (place / f"data{number}.bin").write_bytes(rng.randbytes(size))
        else:
            (place / f"mod{number}.py").write_text(f"VALUE = {number}\n" + _text(size, rng))
    (path / USERMOD).write_text("VERSION = 1\n")
    (path / ".gitignore").write_text(_IGNORED)
    found = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    return Tree(name, path, len(found), sum(found))


def _text(size: int, rng: random.Random) -> str:
    """Return comments that compress like programs do, with a statement here and there that is unique."""
    lines: list[str] = []
    while size > 0:
        source = rng.choice(_sources())
        start = rng.randrange(len(source))
        for line in source[start : start + _LINES]:
            if size > 0:
                lines.append(line)
                size -= len(line)
        lines.append(f"V_{rng.getrandbits(64):x} = {rng.random()!r}\n")
        size -= len(lines[-1])
    return "".join(lines)


@cache
def _sources() -> list[list[str]]:
    """Return the lines of the standard library's modules, as comments."""
    library = Path(sysconfig.get_path("stdlib"))
    unwanted = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__"}
    found = []
    for file in sorted(library.rglob("*.py")):
        if unwanted.isdisjoint(file.relative_to(library).parts) and file.stat().st_size > 2_000:  # noqa: PLR2004 -- not worth it
            text = file.read_text("utf-8", errors="replace")
            found.append([f"# {line}\n" for line in text.splitlines()])
    return found
