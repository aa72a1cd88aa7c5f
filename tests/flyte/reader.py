"""Do what a page tells its reader to do, and compare what comes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path


def shown(command: str, cwd: Path) -> str:
    """Run a command of this environment on a wide screen; return all that it prints."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "300"}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=env,
        check=False,
        timeout=100,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


def missing(expected: str, text: str) -> list[str]:
    """Return the expected lines that are in no line of the text; ``...`` stands for anything."""
    lines = [re.sub(r"([*?[])", r"[\1]", line).replace("...", "*") for line in expected.splitlines()]
    return [line for line in lines if not any(fnmatchcase(each, f"*{line}*") for each in text.splitlines())]
