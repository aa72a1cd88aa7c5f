"""A topology as the DaskJob of Flyte's backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flyte
from flyte.extend import get_proto_resources
from flyteidl2.plugins.dask_pb2 import DaskJob, DaskScheduler, DaskWorkerGroup
from google.protobuf.json_format import MessageToDict

from daskbridge_flyte._target import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from daskbridge import Dask, Resources


def _by_name(image: Any) -> str | None:  # noqa: ANN401 -- whatever a topology holds
    return None if image is None else getattr(image, "uri", image)


def dask_job(topology: Dask, image: Callable[[Any], str | None] = _by_name) -> dict[str, Any]:
    """Return the JSON of the DaskJob that the backend reads, with exactly the keys it knows.

    ``image`` names the container image of what the topology has as one. Raises TopologyError for
    values that a DaskJob can't hold.

    >>> from daskbridge_flyte import Dask, WorkerGroup
    >>> dask_job(Dask(workers=WorkerGroup(4)))
    {'scheduler': {}, 'workers': {'numberOfWorkers': 4}}
    """
    validate(topology)
    scheduler, workers = topology.scheduler, topology.workers
    job = DaskJob(
        scheduler=DaskScheduler(image=image(scheduler.image), resources=_proto(scheduler.resources)),
        workers=DaskWorkerGroup(
            number_of_workers=workers.number_of_workers,
            image=image(workers.image),
            resources=_proto(workers.resources),
        ),
    )
    form: dict[str, Any] = MessageToDict(job)
    return form


def _proto(resources: Resources | None) -> Any:  # noqa: ANN401 -- a message of Flyte's
    if resources is None:
        return None
    amounts = {name: _text(getattr(resources, name)) for name in ("cpu", "memory", "disk")}
    return get_proto_resources(flyte.Resources(**amounts))


def _text(amount: Any) -> Any:  # noqa: ANN401 -- a quantity or a pair of them
    if isinstance(amount, tuple):
        return tuple(map(_text, amount))
    return None if amount is None else str(amount)
