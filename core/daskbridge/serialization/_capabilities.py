"""The names of what a target may be able to do."""

from __future__ import annotations

from typing import Final

#: Capability -> what a target that has it does, and what to do where a target lacks it.
TABLE: Final[dict[str, tuple[str, str]]] = {
    "worker-groups": (
        "run several groups of workers, each with its own number, image and resources",
        "put all workers in `workers`",
    ),
    "adaptive": (
        "vary the number of workers between number_of_workers and max_workers",
        "leave max_workers out and set number_of_workers to what the work needs",
    ),
    "images": (
        "start nodes from the container image that is named",
        "leave image out: nodes get the target's own environment",
    ),
    "scheduler-resources": (
        "give the scheduler the CPUs and memory that are asked",
        "leave the scheduler's resources out",
    ),
    "worker-resources": (
        "give each worker the CPUs and memory that are asked",
        "leave the workers' resources out",
    ),
    "gpu": ("give nodes GPUs", "leave gpu out, or ask for GPUs where the orchestrator describes its task"),
    "disk": ("give nodes temporary disk space of a stated size", "leave disk out"),
    "shm": ("give nodes shared memory of a stated size", "leave shm out"),
    "env": (
        "set environment variables of single nodes",
        "leave env out and set the variables in the image or task",
    ),
    "threads": ("set how many tasks a worker runs at once", "leave threads out: it follows from the CPUs"),
    "local-directory": (
        "let workers spill to the directory that is named",
        "leave local_directory out, or set `temporary-directory` in config",
    ),
    "abstract-resources": ("declare Dask's abstract worker resources", "leave abstract_resources out"),
    "dask-config": (
        "set Dask configuration on all nodes",
        "leave config out and put a Dask YAML file in the image",
    ),
    "max-lifetime": (
        "end the cluster after max_lifetime seconds, whatever happens",
        "leave max_lifetime out and use the orchestrator's own timeout",
    ),
}

CAPABILITIES: Final[dict[str, str]] = {name: meaning for name, (meaning, _) in TABLE.items()}
