"""What a suite may say that its target lacks."""

from __future__ import annotations

from typing import Final

#: The name in ``lacks`` -> what a target without it can't do; then the tests that need it are skipped.
ABILITIES: Final[dict[str, str]] = {
    "exclusive": "start a cluster for each run and end it: shared ones outlive a run",
    "scale": "bring a worker group to another number of workers on demand",
    "late-workers": "let a worker join that this machine starts by `dask worker`",
    "scheduler-process": "run the scheduler in a process of its own, apart from the driver's",
    "dashboard": "serve Dask's dashboard at an address that the driver can reach",
    "two-at-once": "have two clusters in one process at the same time",
}
