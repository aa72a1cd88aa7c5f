"""Run an activity as Temporal's own tests do, without a server: it computes on a Dask cluster of its own."""

from daskbridge_temporal import Dask, WorkerGroup, on_dask
from distributed import get_client
from temporalio import activity
from temporalio.testing import ActivityEnvironment


@activity.defn
@on_dask(Dask(workers=WorkerGroup(number_of_workers=2, threads=1)))
def squares(n: int) -> list[int]:
    """Return the first squares."""
    client = get_client()
    return client.gather(client.map(pow, range(n), [2] * n))


if __name__ == "__main__":
    print(ActivityEnvironment().run(squares, 5))
