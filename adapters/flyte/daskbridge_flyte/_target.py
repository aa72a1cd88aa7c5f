"""What Flyte's backend can do with a topology, and what it can't: a DaskJob holds no more."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from daskbridge.errors import TopologyError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge import Dask, Scheduler, WorkerGroup

CAPABILITIES = frozenset(
    {
        "images",
        "scheduler-resources",
        "worker-resources",
        "disk",
        "threads",
        "local-directory",
        "abstract-resources",
        "dask-config",
    }
)
ADVICE: Mapping[str, str] = {
    "worker-groups": "a DaskJob has one group: put all workers in `workers`",
    "adaptive": "a DaskJob has a fixed number of workers: set number_of_workers to what the work needs",
    "gpu": (
        "the backend makes an invalid resource of a group's GPUs: ask for them in the environment's"
        " resources, which all pods get, and give the scheduler resources without a GPU"
    ),
    "shm": "ask for it in the environment's resources: flyte.Resources(shm=...) reaches all pods",
    "env": "set the variables in the environment's env_vars, which reach all pods",
    "max-lifetime": "set the task's timeout: the cluster ends with the task",
}
#: What a DaskJob alone does not hold.
BESIDE: Mapping[str, str] = dict.fromkeys(
    ["local-directory", "abstract-resources", "dask-config"],
    "it is not in the DaskJob: it travels in the env_vars of the task that is defined with it",
)
#: The field of a DaskJob is an unsigned number of 32 bits.
MOST_WORKERS = 2**32 - 1


def validate(topology: Dask) -> None:
    """Raise TopologyError for values that a DaskJob can't hold or that the backend would not keep to."""
    _check_node("scheduler", topology.scheduler)
    _check_node("workers", topology.workers)
    _check_threads(topology.workers)
    for option in topology.provisioner_options.get("flyte", {}):
        msg = f"provisioner_options.flyte: {unknown('option', option, ())}"
        raise TopologyError(msg)
    number = topology.workers.number_of_workers
    if number > MOST_WORKERS:
        msg = f"workers.number_of_workers: {number} was given, at most {MOST_WORKERS} is expected"
        raise TopologyError(msg)


def _check_node(name: str, node: Scheduler | WorkerGroup) -> None:
    image: Any = node.image  # an adapter's own kind of image may be there
    if image == "auto":
        msg = f"{name}.image: 'auto' was given, an image's name or a flyte.Image is expected"
        raise TopologyError(msg, hint="leave image out: the node gets the task's own image")
    # asked of the class: an image computes its name from files, which the task's pod need not have
    if image is not None and not isinstance(image, str) and not hasattr(type(image), "uri"):
        msg = f"{name}.image: {image!r} was given, an image's name or a flyte.Image is expected"
        raise TopologyError(msg)
    disk = node.resources and node.resources.disk
    if isinstance(disk, tuple):
        msg = f"{name}.resources.disk: {disk!r} was given, but Flyte knows no limit of disk space"
        raise TopologyError(msg, hint=f"write disk={disk[0]!r}")


def _check_threads(workers: WorkerGroup) -> None:
    if workers.threads is None:
        return
    resources = workers.resources
    cpus = resources and (resources.limit("cpu") or resources.request("cpu"))
    if cpus and ceil(cpus) == workers.threads:
        return
    why = "Flyte's backend starts one thread for each CPU of the limit"
    given = f"resources.cpu={resources.cpu!r}" if resources and cpus else "no resources.cpu"
    msg = f"workers.threads: {workers.threads} was given, with {given}; {why}"
    raise TopologyError(msg, hint=f"write resources.cpu={workers.threads}, or leave threads out")
