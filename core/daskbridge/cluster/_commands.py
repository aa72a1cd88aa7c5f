"""Find the commands that a cluster would start nodes by, and know which can't start.

``distributed`` 2026.6.0 dropped the scripts ``dask-scheduler``, ``dask-worker`` and ``dask-ssh``; some
cluster classes start nodes by them still.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = ("dask-scheduler", "dask-worker", "dask-ssh")
DROPPED = (2026, 6, 0)
#: Dask's own images; their tags are versions of Dask, or ``latest``.
_OFFICIAL = re.compile(r"(?:docker\.io/)?(?:ghcr\.io/dask/dask|daskdev/dask)(?::(?P<tag>[^@]*))?(?:@.*)?")


@dataclass(frozen=True)
class Command:
    """Hold the words of a command, where it was found, and the image that it would run in, if known."""

    where: str
    words: tuple[str, ...]
    image: str | None = None

    @property
    def dropped(self) -> str | None:
        """Return the script that it calls and that is not there, or None."""
        for before, word in zip(("", *self.words), self.words, strict=False):
            script = word.rpartition("/")[2]
            if script in SCRIPTS and not re.match("--.", before):  # not a name, as in --name dask-worker
                return script if lacks_scripts(self.image) else None
        return None


def commands_in(value: object, where: str = "") -> Iterator[Command]:
    """Find commands in keywords and manifests: by ``command`` and ``args``, or names that end in such.

    >>> [found.words for found in commands_in({"worker_command": "dask-worker --nthreads 2"})]
    [('dask-worker', '--nthreads', '2')]
    """
    if isinstance(value, Mapping):
        said = [value[key] for key in ("command", "args") if value.get(key)]
        if said:
            yield Command(where or "its keywords", _words(said), value.get("image"))
        for key, inner in value.items():
            path = f"{where}.{key}".lstrip(".")
            if str(key).endswith(("_command", "_cmd")):
                yield Command(path, _words(inner))
            elif key not in {"command", "args"}:
                yield from commands_in(inner, path)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from commands_in(inner, f"{where}[{number}]")


def lacks_scripts(image: str | None) -> bool:
    """Tell whether nodes lack the scripts: by the tag of Dask's own images, else by what is installed here.

    Nodes need the distributed of the driver.

    >>> lacks_scripts("ghcr.io/dask/dask:latest"), lacks_scripts("daskdev/dask:2025.1.0-py3.11")
    (True, False)
    """
    if image and (official := _OFFICIAL.fullmatch(image)):
        version = re.match(r"(\d{4})\.(\d+)\.(\d+)", official["tag"] or "latest")
        return version is None or tuple(map(int, version.groups())) >= DROPPED
    return _lacks_scripts_here()


@cache
def _lacks_scripts_here() -> bool:
    return not distribution("distributed").entry_points.select(group="console_scripts", name=SCRIPTS[0])


def _words(said: object) -> tuple[str, ...]:
    if isinstance(said, (list, tuple)):
        return tuple(word for each in said for word in _words(each))
    return tuple(word for word in re.split(r"[\s;&|()]+", str(said)) if word)
