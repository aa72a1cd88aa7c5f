"""Count on a cluster that was started by commands: the scheduler by default, the worker by one of ours."""

import sys

from distributed import get_client

from daskbridge import Dask, WorkerGroup, on_dask

LOW_PRIORITY = ["nice", "-n", "5", sys.executable, "{dask}"]


@on_dask(
    Dask(
        workers=WorkerGroup(number_of_workers=2, threads=1),
        provisioner_options={"command": {"worker": LOW_PRIORITY}},
    ),
    provisioner="command",
)
def squares(n: int) -> list[int]:
    """Return the first squares."""
    client = get_client()
    return client.gather(client.map(pow, range(n), [2] * n))


if __name__ == "__main__":
    print(squares(5))
