"""Refuse a cluster inside a task of another one."""

from __future__ import annotations

import sys

from daskbridge.errors import InsideDaskTask


def refuse_inside_dask() -> None:
    """Raise InsideDaskTask if the caller is a task that runs on a Dask worker.

    There ``get_client()`` gives the worker's own client, whatever is current: the body would wait on
    the outer cluster for the very slot that it occupies.
    """
    module = sys.modules.get("distributed.worker")
    if module is None:
        return
    try:
        worker = module.get_worker()
    except ValueError:
        return
    msg = f"a cluster was asked for inside a task of another, on its worker {worker.address}"
    hint = "open it where the outer cluster's client is, or let the task use that cluster: get_client()"
    raise InsideDaskTask(msg, hint=hint)
