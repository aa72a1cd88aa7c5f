"""A class of Dask's cluster family whose scheduler and workers are processes of their own."""

from __future__ import annotations

import uuid
from pathlib import Path

import dask.config
from distributed import SpecCluster
from distributed.deploy.subprocess import SubprocessScheduler, SubprocessWorker

LOOPBACK = {"host": "127.0.0.1"}


class Processes(SpecCluster):
    def __init__(self):
        # nobody removes it
        file = Path(dask.config.get("temporary-directory"), uuid.uuid4().hex)
        scheduler = {
            "port": 0,
            "dashboard": True,
            "dashboard_address": "127.0.0.1:0",
            "scheduler_file": str(file),
        }
        worker = {"worker_class": "distributed.Nanny", "worker_kwargs": {**LOOPBACK, "nthreads": 1}}
        super().__init__(
            scheduler={"cls": SubprocessScheduler, "options": {"scheduler_kwargs": LOOPBACK | scheduler}},
            worker={"cls": SubprocessWorker, "options": worker},
        )
