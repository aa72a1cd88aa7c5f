"""What a decorated task is to Prefect, and when it has a cluster."""

from __future__ import annotations

import distributed
import pytest
from daskbridge_prefect import Dask, WorkerGroup, dask_task, on_dask
from prefect import flow, task
from prefect.context import FlowRunContext

ONE = Dask(workers=WorkerGroup(1))


def here():
    """Name the cluster that the caller has."""
    return distributed.get_client().scheduler.address


def test_a_task_of_a_flow_has_a_cluster_that_is_gone_afterwards(api):
    @on_dask(ONE, code=False)
    @task
    def total(n: int) -> int:
        client = distributed.get_client()
        return sum(client.gather(client.map(abs, range(-n, 0))))

    @flow
    def main() -> tuple[str, int]:
        return str(FlowRunContext.get().flow_run.id), total(4)

    run, found = main()
    assert found == 10
    (told,) = api.task_runs(run)
    assert told["state_type"] == "COMPLETED"
