"""Build distributions as strangers do, and run what is installed of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def call(*command, **options):
    """Run a command, without what leads to the code that is tested; return what it prints."""
    environ = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def wheel(project, place):
    """Build a project's wheel."""
    call(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", place, cwd=project)
    (built,) = place.glob("*.whl")
    return built
