"""The file systems to write to: the one of temporary files, and memory."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = "/dev/shm"  # noqa: S108 -- temporary directories are made in it
#: How often a calm place is looked for, with how many files, and the CPU seconds that one of them may cost.
_TRIES, _FILES, _CHEAP = 50, 50, 60e-6
#: Of linux/fs.h: directories below this one may be far from each other.
_SET_FLAGS, _TOP_DIRECTORY = 0x40086602, 0x00020000


@dataclass(frozen=True)
class Disk:
    """A directory and the type of the file system on which it is."""

    path: str
    type: str

    @property
    def in_memory(self) -> bool:
        """Tell whether nothing of it is on a disk."""
        return self.type == "tmpfs"

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Make a directory for :func:`calm` ones, which all go away with the block."""
        with TemporaryDirectory(dir=self.path) as place:
            handle = os.open(place, os.O_RDONLY)
            with suppress(OSError):  # a file system without such flags
                fcntl.ioctl(handle, _SET_FLAGS, _TOP_DIRECTORY.to_bytes(8, "little"))
            os.close(handle)
            yield Path(place)


def calm(room: Path) -> str:
    """Return a new directory in which new files are cheap.

    ext4 avoids inodes that were freed within the last five minutes, and looks at each of them for every new
    file of the same group of blocks: after a large tree was removed files cost 30 times as much.
    """
    for _ in range(_TRIES):
        directory = Path(tempfile.mkdtemp(dir=room))
        begin = time.process_time()
        for number in range(_FILES):
            (directory / str(number)).touch()
        if (time.process_time() - begin) / _FILES <= _CHEAP:
            break
    return tempfile.mkdtemp(dir=directory)


def disks() -> list[Disk]:
    """Return the file systems that there are."""
    found = [Disk(tempfile.gettempdir(), _type(tempfile.gettempdir()))]
    if os.access(MEMORY, os.W_OK) and not found[0].in_memory:
        found.append(Disk(MEMORY, _type(MEMORY)))
    return found


def fastest() -> str:
    """Return the directory in memory, if there is one: what lies there costs the same each time."""
    return disks()[-1].path


def _type(path: str) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(at), kind) for at, kind in mounts if Path(path).is_relative_to(at)]
    return max(above, key=lambda each: each[0])[1]
