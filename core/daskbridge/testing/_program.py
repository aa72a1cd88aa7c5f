"""One driver program, seen from the test: it is started in a clean room, waited for, harmed and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from daskbridge._environ import environment
from daskbridge.testing import _recorder
from daskbridge.testing._left import MARK, left, marked
from daskbridge.testing._printed import folded
from daskbridge.testing._project import Project
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What a driver program does not inherit, by the beginning of a variable's name.
WITHHELD = ("DASK", "PYTEST_", MARK)
#: What it does of Python's own.
KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONHASHSEED", "PYTHONUTF8")
MAIN = """
import sys

from daskbridge.testing._driver import main

if __name__ == "__main__":
    main(sys.argv[1])
"""
#: Characters of what a program printed, in a message.
TAIL = 6000


@dataclass(frozen=True)
class Observation:
    """Hold what a program saw under one name, or the traceback of the error that it got instead."""

    value: Any
    error: str | None = None


class Program:
    """Own one driver program with its directory; everything about it is bounded in time.

    ``order`` is what the program gets to know, ``environ`` what it has beside a cleaned environment.
    """

    def __init__(
        self, name: str, directory: Path, order: Mapping[str, Any], environ: Mapping[str, str]
    ) -> None:
        self.name = name
        self.directory = directory
        self.temporary = directory / "temporary"
        self._reports, self._output = directory / "reports", directory / "output"
        self._mark = uuid.uuid4().hex
        for place in (self.temporary, *(directory / name for name in ("empty", "program", "site"))):
            place.mkdir(parents=True)
        _plugin(directory / "site", _recorder.NAME, _recorder.__name__)
        self._order = {
            "path": [os.path.abspath(entry) for entry in [str(directory / "site"), *sys.path]],  # noqa: PTH100 -- "" is here
            "project": Project.write(directory / "project").to_json(),
            "reports": str(self._reports),
            **order,
        }
        self._environ = {
            **{name: value for name, value in environment().items() if _inherited(name)},
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(directory.parent / "cache"),
            "DASK_DASKBRIDGE__LOCAL_WARM": "0",  # what is warm for others could hide what is left
            MARK: self._mark,
            **environ,
        }

    def start(self) -> None:
        """Start the program."""
        # apart from the project, as an orchestrator's own program
        main, order = self.directory / "program" / "main.py", self.directory / "order.json"
        main.write_text(MAIN.lstrip(), "utf-8")
        order.write_text(json.dumps(self._order), "utf-8")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 -- a program of the kit's
                [sys.executable, str(main), str(order)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory / "empty",
                env=self._environ,
            )

    @property
    def observations(self) -> dict[str, Observation]:
        """Return what the program has reported up to now."""
        lines = self._reports.read_text("utf-8").splitlines() if self._reports.exists() else []
        found = (json.loads(line) for line in lines)
        return {line["name"]: Observation(line.get("value"), line.get("error")) for line in found}

    @property
    def output(self) -> str:
        """Return the end of what the program has printed."""
        return folded(self._output.read_text("utf-8", "replace"))[-TAIL:]

    def told(self, name: str, within: float) -> bool:
        """Wait for a report of that name; False if the program ended without it. Raises TimeoutError."""

        def there() -> bool | None:
            ended = self.process.poll() is not None
            return True if name in self.observations else False if ended else None

        what = f"the report {name!r} of program {self.name!r}"
        return bool(until(there, within, what, wanted=lambda found: found is not None))

    def ends(self, within: float) -> int:
        """Wait for the program's end and return its exit code. Raises TimeoutError."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"waited {within:g} s for the end of program {self.name!r}") from None

    def left(self, within: float) -> list[str]:
        """Say what is still there of the program and its cluster after so many seconds."""
        known = self.observations.get("cluster")
        nodes, addresses = ([], []) if known is None or known.error else known.value

        def look() -> list[str]:
            return left(self._mark, nodes, addresses, self.temporary, self._order["leaves"])

        try:
            return until(look, within, "the end of all", wanted=lambda found: not found)
        except TimeoutError:
            return look()

    def close(self) -> None:
        """End what is there of the program."""
        for process in marked(self._mark):
            with suppress(psutil.Error):
                process.kill()
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()


def _inherited(name: str) -> bool:
    return name in KEPT or not name.startswith(("PYTHON", *WITHHELD))


def _plugin(site: Path, name: str, module: str) -> None:
    """Install the metadata of a distribution with one plugin."""
    info = site / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[daskbridge]\n{name} = {module}\n", "utf-8")
