"""Containers as local processes: each has a working directory, a home and temporary files of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: The variable that marks a pod's processes.
MARK = "POD_UID"


class Pod:
    """One container, from its start on; nothing of this process's environment but ``PATH`` reaches it."""

    def __init__(
        self, directory: Path, command: Sequence[str], env: Mapping[str, str], *, cwd: Path | None = None
    ) -> None:
        self.name = directory.name
        self.directory = directory
        self._log = directory.with_suffix(".log")
        #: Every process that starts in here has it: whoever does is of this pod, whatever its parent is.
        self._mark = f"{directory}-{time.monotonic_ns()}"
        private = {"HOME": directory / "home", "TMPDIR": directory / "tmp"}
        cwd = cwd or directory / "work"
        for path in (*private.values(), cwd):
            path.mkdir(parents=True, exist_ok=True)
        own = {"PATH": os.environ["PATH"], MARK: self._mark}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**env, **own, **{name: str(path) for name, path in private.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What the container has printed by now."""
        return self._log.read_text()

    def processes(self) -> list[psutil.Process]:
        """Return the processes of this pod that run now, its first one included."""
        return [process for process in psutil.process_iter() if self._has(process)]

    def left(self, *, within: float = 5) -> list[str]:
        """Tell which processes are left ``within`` seconds after the first one has ended."""
        assert self.process.poll() is not None
        _, alive = psutil.wait_procs(self.processes(), timeout=within)
        return [" ".join(process.cmdline()) for process in alive if self._has(process)]

    def terminate(self) -> None:
        """Ask for the end, as Kubernetes does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self, *, grace: float = 10) -> None:
        """End all processes of this pod: what does not end by itself is killed after ``grace`` seconds."""
        self.terminate()
        _, alive = psutil.wait_procs(self.processes(), timeout=grace)
        for process in alive:
            process.kill()
        self.process.wait()

    def _has(self, process: psutil.Process) -> bool:
        try:
            marked = process.environ().get(MARK) == self._mark
            return marked and bool(process.status() != psutil.STATUS_ZOMBIE)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            return False  # it has ended meanwhile, or is somebody else's


def eventually(condition: Callable[[], object], story: Callable[[], str], *, within: float = 30) -> None:
    """Wait until ``condition()`` is true; if that takes too long, fail and tell the ``story``."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within:g} s\n{story()}"
        time.sleep(0.05)
