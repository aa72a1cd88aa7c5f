"""Dask's configuration in the environment of all three pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.errors import TopologyError, UnsupportedByTarget

if TYPE_CHECKING:
    from daskbridge import Dask

#: Dask reads it when it is imported, before any other source of configuration but the files.
VARIABLE = "DASK_INTERNAL_INHERIT_CONFIG"


class FromTopology(str):
    """Mark a value as ours: a task that is made anew of another, with another topology, may replace it."""

    __slots__ = ()


def with_config(env_vars: dict[str, str] | None, topology: Dask) -> dict[str, str] | None:
    """Return a task's ``env_vars`` with what the topology asks of Dask's configuration.

    Flyte's backend gives them to the task, the scheduler and the workers alike. Raises TopologyError
    if the user has set the variable, which would be lost.
    """
    given = without_config(env_vars)
    config = node_config(topology)
    if not config:
        return given
    if given is not None and VARIABLE in given:
        msg = f"env_vars has {VARIABLE}, by which what the topology asks of Dask's configuration would travel"
        raise TopologyError(msg, hint="say it in one place: Dask(config=...)")
    import dask.config

    return {**(given or {}), VARIABLE: FromTopology(dask.config.serialize(config))}


def without_config(env_vars: dict[str, str] | None) -> dict[str, str] | None:
    """Return a task's ``env_vars`` without what :func:`with_config` has put there."""
    if env_vars is None:
        return None
    return {name: value for name, value in env_vars.items() if not isinstance(value, FromTopology)}


def refuse_new_config(given: Dask, adjusted: Dask) -> None:
    """Raise UnsupportedByTarget if a plugin asks for other configuration than the task was defined with."""
    if node_config(adjusted) != node_config(given):
        msg = "a plugin changes config, local_directory or abstract_resources, held by the task's env_vars"
        hint = "env_vars are read before plugins are asked: give these in the topology itself"
        raise UnsupportedByTarget(msg, hint=hint)


def node_config(topology: Dask) -> dict[str, Any]:
    """Return ``config`` and what the backend can do for the workers only by configuration."""
    workers = topology.workers
    asked: dict[str, Any] = {}
    if workers.local_directory is not None:
        asked["temporary-directory"] = workers.local_directory
    if workers.abstract_resources:
        asked["distributed"] = {"worker": {"resources": dict(workers.abstract_resources)}}
    if not asked:
        return dict(topology.config)
    import dask.config

    return dask.config.merge(dict(topology.config), asked)
