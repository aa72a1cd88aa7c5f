"""Let a worker's process run in a copy of the code's tree: private, writable, gone with the worker."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING

from distributed import Scheduler

if TYPE_CHECKING:
    from .unpack import Reference

_lock = threading.Lock()
_copy = ""
_before = ""
#: The local directory of each worker in this process; the copy lies in one of them.
_users: dict[object, str] = {}


def enter(user: object, reference: Reference, tree: str, home: str) -> None:
    """Change to a copy of what ``reference`` says, made in ``home``: Dask removes that in any case.

    Several workers of one process share the copy; each is a ``user`` until its :func:`leave`. Blocks.
    Raises RuntimeError in the scheduler's process, whose working directory is not a worker's to change.
    """
    global _copy, _before  # noqa: PLW0603 -- the working directory is the state of the process
    place = reference.get("working_directory")
    if place is None:
        return
    if any(each.status.name == "running" for each in list(Scheduler._instances)):  # noqa: SLF001 -- as Dask does
        msg = (
            f"process {os.getpid()} is the scheduler's, too: no worker in it can change its working directory"
        )
        raise RuntimeError(msg)
    with _lock:
        if not _users:
            _copy = tempfile.mkdtemp(prefix="daskbridge-work-", dir=home)
            source = os.path.join(tree, *place.split("/"))
            shutil.copytree(source, _copy, copy_function=_writable, dirs_exist_ok=True)
            _before = os.getcwd()
            os.chdir(_copy)
        _users[user] = home


def leave(user: object) -> None:
    """Let a user go, if it is one; the last one removes the copy and goes back."""
    global _copy  # noqa: PLW0603 -- as above
    with _lock:
        home = _users.pop(user, None)
        if home is None:
            return
        if not _users:
            os.chdir(_before if os.path.isdir(_before) else tempfile.gettempdir())
            shutil.rmtree(_copy, ignore_errors=True)
        elif os.path.dirname(_copy) == home and home not in _users.values():  # it goes away with its worker
            kept = os.path.join(next(iter(_users.values())), os.path.basename(_copy))
            os.rename(_copy, kept)
            _copy = kept


def _writable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    if os.stat(source).st_mode & 0o100:
        os.chmod(target, 0o755)  # noqa: S103 -- as in the project
