"""Take the census on the cluster at hand: map over batches, reduce by a tree; runs in the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import as_completed, get_client

from census.files import batches
from census.parse import count_batch, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Client, Future

    from census.files import Source
    from census.parse import Tally

#: How many tallies one task adds up.
FAN_IN = 8


def take_census(sources: Sequence[Source], progress: Callable[[int, int], None] | None = None) -> Tally:
    """Count the files on the cluster of the context and return the figures of each package.

    ``progress(done, total)`` is called after each batch. Any orchestrator's task can call this: whoever
    provides the cluster, ``get_client()`` reaches it. Raises what a worker raised.
    """
    client = get_client()
    # pure=False: the files may have changed since the same call was made
    parts = client.map(count_batch, list(batches(sources)), pure=False)
    total = _tree(client, parts)
    for done, _ in enumerate(as_completed(parts), 1):
        if progress is not None:
            progress(done, len(parts))
    return total.result()


def _tree(client: Client, futures: list[Future[Tally]]) -> Future[Tally]:
    while len(futures) > 1:
        groups = [futures[i : i + FAN_IN] for i in range(0, len(futures), FAN_IN)]
        futures = [client.submit(merge, group, pure=False) for group in groups]
    return futures[0]
