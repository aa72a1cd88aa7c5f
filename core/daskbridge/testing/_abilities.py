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
    # of adapters
    "async-bodies": "run an `async` function as a task",
    "documents": "take a topology as a mapping, as of a YAML file",
    "errors": "raise a body's error as it is: with its type, its frames and its notes",
    "run_retried": "try a task again that failed",
    "cancel": "tell a task to end while it runs",
    "run_name": "name the run of a task",
    "published": "show links of a task while it runs",
    "heard": "hear of a task while it runs",
    "heard-of-start": "hear of a task before its body begins",
    "logged": "keep a log of a task that others can write to",
}
