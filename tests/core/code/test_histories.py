"""After any history, a fresh interpreter imports what was asked for and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = int(os.environ.get("DASKBRIDGE_HISTORIES", "1000"))
PROGRAMS = 2


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="installs and probes are forks")
def test_a_thousand_histories_lead_to_the_version_that_was_asked_for(fast_place):
    """``DASKBRIDGE_SEED`` is the first one; a failure names its own."""
    first, each = int(os.environ.get("DASKBRIDGE_SEED", "0")), COUNT // PROGRAMS
    program = str(Path(__file__).with_name("histories.py"))
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(fast_place)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = [
        subprocess.Popen(
            [sys.executable, program, str(fast_place), str(first + number * each), str(each)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROGRAMS)
    ]
    told = [process.communicate(timeout=390) for process in started]
    assert [process.returncode for process in started] == [0] * PROGRAMS, "\n".join(
        error for _, error in told
    )
    assert sum(int(steps) for steps, _ in told) > 2 * COUNT
