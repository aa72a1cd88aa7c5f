"""Know how some cluster classes start nodes, and refuse what can't start before anything is created."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daskbridge.cluster._commands import DROPPED, SCRIPTS, Command, commands_in, lacks_scripts
from daskbridge.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DISTRIBUTIONS = (
    "coiled",
    "dask-cloudprovider",
    "dask-gateway",
    "dask-jobqueue",
    "dask-kubernetes",
    "dask-mpi",
    "dask-yarn",
)
_ANYWAY = "or set check to false in provisioner_options.cluster-class if the nodes' distributed is older"
_WRITE = "write 'dask scheduler' and 'dask worker' instead"


@dataclass(frozen=True)
class Known:
    """Say how to see the commands of one class from here, what helps, and what to look at if it fails."""

    commands: Callable[[type, Mapping[str, Any]], Iterable[Command]] = lambda *_: ()
    fix: str = _WRITE
    advice: str = ""


def refuse(factory: Callable[..., object], keywords: Mapping[str, Any]) -> None:
    """Raise TopologyError if nodes would be started by a script that they don't have."""
    factory, keywords = _unwrapped(factory, keywords)
    kind, known = _known(factory)
    seen = known.commands(kind, keywords) if isinstance(kind, type) else ()
    for command in (*commands_in(keywords), *seen):
        if script := command.dropped:
            title = getattr(factory, "__qualname__", repr(factory))
            image = f", nor has the image {command.image}" if command.image else ""
            msg = (
                f"{title} would start nodes by {script!r} ({command.where}): "
                f"distributed has no such script since {'.'.join(map(str, DROPPED))}{image}"
            )
            raise TopologyError(msg, hint=f"{known.fix}; {_ANYWAY}")


def advice(factory: Callable[..., object]) -> str:
    """Return what to look at if the class's nodes don't come; empty where nothing is known."""
    return _known(_unwrapped(factory, {})[0])[1].advice if lacks_scripts(None) else ""


def installed() -> list[str]:
    """List the distributions with cluster classes that this environment has, with their versions."""
    found = []
    for name in DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def _unwrapped(
    factory: Callable[..., object], keywords: Mapping[str, Any]
) -> tuple[Callable[..., object], Mapping[str, Any]]:
    wrapped: object = factory
    while isinstance(wrapped, partial):
        factory, keywords = wrapped.func, {**wrapped.keywords, **keywords}
        wrapped = factory
    return factory, keywords


def _known(factory: object) -> tuple[object, Known]:
    for kind in getattr(factory, "__mro__", ()):
        if known := KNOWN.get(f"{kind.__module__}.{kind.__qualname__}"):
            return kind, known
    return None, Known()


def _kubernetes(kind: type, keywords: Mapping[str, Any]) -> Iterable[Command]:
    """See what the operator would be given, by the class's own keywords, configuration and functions."""
    import dask.config
    import yaml

    def given(name: str) -> Any:  # noqa: ANN401 -- whatever the class takes
        configured = dask.config.get(f"kubernetes.{name.replace('_', '-')}", None)
        return configured if keywords.get(name) is None else keywords[name]

    if "CONNECT_ONLY" in str(given("create_mode")):
        return ()
    spec = given("custom_cluster_spec")
    if isinstance(spec, Mapping):
        return commands_in(spec, "custom_cluster_spec")
    if spec is not None:
        with suppress(OSError, yaml.YAMLError):  # the class itself will say what is wrong with it
            return commands_in(yaml.safe_load(Path(spec).read_text("utf-8")), spec)
        return ()
    make = getattr(sys.modules[kind.__module__], "make_cluster_spec", None)
    if make is None:
        return ()
    known = {name: given(name) for name in ("image", "worker_command")}
    wanted = {"name": "daskbridge"} | {name: value for name, value in known.items() if value}
    accepted = inspect.signature(make).parameters
    return commands_in(make(**{name: value for name, value in wanted.items() if name in accepted}))


def _ecs(kind: type, _: Mapping[str, Any]) -> Iterable[Command]:
    """Look for the scripts among the constants of the code that makes the tasks."""
    module = sys.modules[kind.__module__]
    for name in ("Scheduler", "Worker"):
        code = getattr(getattr(getattr(module, name, None), "__init__", None), "__code__", None)
        if code is not None:
            yield Command(f"its {name.lower()} task", tuple(c for c in code.co_consts if c in SCRIPTS))


#: Classes that are known to need a look, by the name of the class itself or of one that it extends.
KNOWN: Mapping[str, Known] = {
    "dask_kubernetes.operator.kubecluster.kubecluster.KubeCluster": Known(
        _kubernetes,
        fix="pass custom_cluster_spec, made by make_cluster_spec(worker_command=['dask', 'worker']), with"
        " ['dask', 'scheduler', '--host', '0.0.0.0'] as the args of the scheduler's container",
    ),
    "dask_cloudprovider.aws.ecs.ECSCluster": Known(
        _ecs, fix="use a release of dask-cloudprovider that starts nodes by 'dask scheduler', or EC2Cluster"
    ),
    "dask_gateway.client.GatewayCluster": Known(
        advice="look into the gateway's server: up to 2026.3.0 it starts nodes by dask-scheduler and"
        " dask-worker unless c.ClusterConfig.scheduler_cmd and worker_cmd say ['dask', 'scheduler'] and"
        " ['dask', 'worker']"
    ),
}
