"""What is left of a cluster: processes, a scheduler that answers, files."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The variable by which the processes of one program are told from all others.
MARK = "DASKBRIDGE_TESTING_MARK"
#: Where all of a user's nodes that are Dask's own programs spill; they clear it when one starts.
SCRATCH = "dask-scratch-space*"


def left(
    mark: str,
    nodes: Iterable[Mapping[str, Any]],
    addresses: Iterable[str],
    temporary: Path,
    others: Iterable[str] = (),
) -> list[str]:
    """Say what is there: marked processes but this one, nodes, schedulers that answer, files.

    ``nodes`` are what nodes told of themselves: pid, host and when they were created. Files whose names match
    one of the patterns ``others`` are somebody else's.
    """
    others = (SCRATCH, *others)
    found = [words(process) for process in marked(mark) if process.pid != os.getpid()]
    names = [path.name for path in temporary.iterdir()]
    files = [f"file {name}" for name in names if not any(fnmatch(name, other) for other in others)]
    return sorted({*found, *there(nodes, addresses), *files})


def there(nodes: Iterable[Mapping[str, Any]], addresses: Iterable[str]) -> list[str]:
    """Say what is there of a cluster: nodes that live, schedulers that answer."""
    found = [words(process) for node in nodes if (process := _process(node))]
    return [*found, *(f"the scheduler at {address} answers" for address in addresses if _answers(address))]


def marked(mark: str) -> Iterator[psutil.Process]:
    """Find the processes that have a mark in their environment; a zombie that waits for another is none."""
    wanted = f"{MARK}={mark}".encode()
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and wanted in _environ(process):
                yield process


def words(process: psutil.Process) -> str:
    """Say which process that is."""
    try:
        return f"process {process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"process {process.pid}"


def _environ(process: psutil.Process) -> list[bytes]:
    proc = Path(f"/proc/{process.pid}/environ")
    if proc.exists():
        return proc.read_bytes().split(b"\0")
    return [f"{name}={value}".encode() for name, value in process.environ().items()]


def _process(node: Mapping[str, Any]) -> psutil.Process | None:
    if node["host"] != socket.gethostname() or node["pid"] == os.getpid():
        return None
    with suppress(psutil.Error):
        process = psutil.Process(node["pid"])
        same = abs(process.create_time() - node["created"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    return None


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    if not parts.hostname or not parts.port:
        return False
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=2):
        return True
    return False
