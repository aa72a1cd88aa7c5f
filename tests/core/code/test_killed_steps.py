"""A kill at any step of an install, an upload or a build leaves the whole or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each step is tried in a fork")
@pytest.mark.parametrize(
    ("work", "least"),
    [("an_install", 300), ("an_exchange", 300), ("a_collection", 300), ("an_upload", 10), ("a_build", 300)],
)
def test_a_kill_at_any_step_leaves_the_whole_or_nothing(fast_place, work, least):
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(fast_place),
        "XDG_CACHE_HOME": str(fast_place / "user"),
    }
    command = [sys.executable, str(Path(__file__).with_name("kill_steps.py")), work, str(fast_place / "here")]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=110)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) >= least  # as many places were tried
