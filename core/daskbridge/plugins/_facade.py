"""The one typed way to the plugins: no caller touches pluggy's untyped hooks."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, cast

from daskbridge.errors import DaskbridgeError, PluginError, unknown
from daskbridge.plugins._orchestrator import FUNCTIONS, Orchestrator
from daskbridge.plugins._provisioner import Provisioner
from daskbridge.plugins._registry import (
    DENY,
    GROUP,
    Registry,
    distribution,
    logger,
    requirements,
    version,
)
from daskbridge.plugins._sound import HOOKS
from daskbridge.plugins._types import ClusterPlugin, PluginInfo, Run, Serializer, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins._implementation import Implementation
    from daskbridge.topology import Dask

    Code = CodeBundle | CodeSpec | InstalledCode | Literal[False] | None

#: The plugin that says which code ships where nobody else does.
DEFAULT_SOURCE = "code"
#: Adapters of ours that a name may ask for before they are installed.
ADAPTERS = {"flyte": "daskbridge[flyte]", "prefect": "daskbridge[prefect]"}

_scanning = threading.Lock()


def plugins() -> Plugins:
    """Return the process's plugins, found on first use by the one scan of its entry points."""
    with _scanning:  # two threads would get two of them, and what one found broken would be lost
        return _scan()


@cache
def _scan() -> Plugins:
    from importlib.metadata import entry_points

    return Plugins(Registry(entry_points(group=GROUP)))


class Plugins:
    """Ask the plugins: look one up by its name, collect from all, or tell all.

    Every method runs in the driver and raises :class:`~daskbridge.errors.PluginError`, naming the
    plugin and its distribution, when a plugin that is needed is broken.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._failed_listeners: set[str] = set()

    def load(self) -> None:
        """Load every plugin, so that all of them hear of a run from its first step."""
        self._registry.load_all()

    def serializer(self, name: str) -> Serializer:
        """Return the serializer of that name; only the plugin of the same name is loaded for it."""
        return cast("Serializer", self._named("serializer", name, "daskbridge_serializers"))

    def provisioner(self, name: str) -> Provisioner:
        """Return the provisioner of that name; only the plugin of the same name is loaded for it."""
        return cast("Provisioner", self._named("provisioner", name, "daskbridge_provisioners"))

    def target(self, name: str) -> Target:
        """Return the serializer or else the provisioner of that name, found in the same way."""
        return cast(
            "Target", self._named("target", name, "daskbridge_serializers", "daskbridge_provisioners")
        )

    def names(self, hook: str) -> list[str]:
        """List the names that all plugins offer through ``daskbridge_serializers`` or a like hook."""
        return sorted(item.name for _, item in self._offers(hook))

    def orchestrator(self) -> Orchestrator | None:
        """Return the orchestrator whose task this process runs, or None.

        One that can't tell is not it, with one warning. Two that both claim the process are an
        error: the code root and the links of one would be lost silently.
        """
        self._registry.load_all()
        detected: list[tuple[Implementation, Orchestrator]] = []
        for impl in self._registry.implementations("daskbridge_orchestrators"):
            try:
                detected += [(impl, item) for item in impl.items(_is_orchestrator) if impl.guard(item.here)]
            except DaskbridgeError as error:
                self._registry.discard(impl.plugin, error)
        if len(detected) > 1:
            msg = f"two orchestrators claim this process: {', '.join(impl.plugin for impl, _ in detected)}"
            raise PluginError(msg, hint=f"disable one with {DENY}")
        if not detected:
            return None
        impl, found = detected[0]
        guarded: dict[str, Any] = {
            name: impl.guarded(getattr(found, name), f"{name} of Orchestrator {found.name!r}")
            for name in FUNCTIONS
        }
        return replace(found, **guarded)

    def topology(self, topology: Dask, target: Target) -> Dask:
        """Pass a topology through every plugin that adjusts it and return the last answer."""
        self._registry.load_all()
        for impl in self._registry.implementations("daskbridge_topology"):
            changed = impl.call(topology=topology, target=target)
            if changed is not None and type(changed) is not type(topology):
                raise impl.wrong(changed, "a Dask topology or None")
            topology = topology if changed is None else changed
        return topology

    def code_source(self, run: Run, orchestrator: Orchestrator | None = None) -> Code:
        """Return the first answer to the question which code this run's nodes get.

        Plugins are asked first, then the orchestrator, the core's own last.
        """
        self._registry.load_all()
        found = self._registry.implementations("daskbridge_code_source")
        of_core = [impl for impl in found if impl.plugin == DEFAULT_SOURCE]
        asked: list[Callable[[], Code]] = [
            partial(impl.call, run=run) for impl in found if impl not in of_core
        ]
        if orchestrator is not None:
            asked.append(lambda: orchestrator.code_source(run))
        asked += [partial(impl.call, run=run) for impl in of_core]
        return next((answer for each in asked if (answer := each()) is not None), None)

    def cluster_plugins(self, topology: Dask, run: Run) -> list[ClusterPlugin]:
        """Return every Dask plugin that the plugins want on this run's cluster, in order."""
        self._registry.load_all()
        return [
            item
            for impl in self._registry.implementations("daskbridge_cluster_plugins")
            for item in impl.items(_is_cluster_plugin, topology=topology, run=run)
        ]

    def driver_only(self) -> frozenset[str]:
        """Name the distributions that nodes don't need: the plugins' own, and what orchestrators' require."""
        orchestrators = {plugin for plugin, _ in self._offers("daskbridge_orchestrators")}
        entries = self._registry.entries.items()
        plugins = [(point, name in orchestrators) for name, entry in entries for point in entry.points]
        required = [name for point, asked in plugins if asked for name in requirements(point)]
        return frozenset([*(distribution(point) for point, _ in plugins), *required])

    def step(self, step: str, state: str, elapsed: float, detail: str, run: Run) -> None:
        """Tell every listener of a step; one that raises is logged once and stops nobody."""
        for impl in self._registry.implementations("daskbridge_step"):
            try:
                impl.call(step=step, state=state, elapsed=elapsed, detail=detail, run=run)
            except DaskbridgeError:
                if impl.plugin not in self._failed_listeners:
                    self._failed_listeners.add(impl.plugin)
                    logger.warning("a listener of steps failed", exc_info=True)

    def listing(self) -> list[PluginInfo]:
        """List every plugin of the environment, loading all, with what it provides and its status."""
        offered: dict[str, list[str]] = {name: [] for name in self._registry.entries}
        for hook in OFFERS:
            kind = hook.removeprefix("daskbridge_").removesuffix("s")
            for plugin, item in self._offers(hook):
                offered[plugin].append(f"{kind}:{item.name}")
        for hook in set(HOOKS) - set(OFFERS):
            for impl in self._registry.implementations(hook):
                offered[impl.plugin].append(hook)
        return [self._info(name, offered[name]) for name in sorted(offered)]

    def _info(self, name: str, offered: list[str]) -> PluginInfo:
        entry = self._registry.entries[name]
        broken = entry.error is not None
        return PluginInfo(
            name=name,
            distribution=", ".join(distribution(point) for point in entry.points),
            version=", ".join(version(point) for point in entry.points),
            module=entry.points[0].value,
            status="disabled" if entry.disabled else "broken" if broken else "active",
            provides=() if broken else tuple(sorted(offered)),
            error=str(entry.error or entry.disabled),
        )

    def _named(self, kind: str, name: str, *hooks: str) -> Any:  # noqa: ANN401 -- what the hooks offer
        if self._registry.load(name):
            for hook in hooks:
                for impl in self._registry.implementations(hook, name):
                    for item in impl.items(OFFERS[hook]):
                        if item.name == name:
                            return item
        for hook in hooks:
            found = [(plugin, item) for plugin, item in self._offers(hook) if item.name == name]
            if len(found) > 1:
                msg = f"two plugins offer a {kind} named {name!r}: {', '.join(plugin for plugin, _ in found)}"
                raise PluginError(msg, hint=f"disable one with {DENY}")
            if found:
                return found[0][1]
        hint = f"pip install '{ADAPTERS[name]}'" if name in ADAPTERS else None
        raise PluginError(
            unknown(kind, name, {known for hook in hooks for known in self.names(hook)}), hint=hint
        )

    def _offers(self, hook: str) -> list[tuple[str, Any]]:
        """Collect what all plugins offer, each with its plugin's name; a broken one offers nothing."""
        self._registry.load_all()
        found: list[tuple[str, Any]] = []
        for impl in self._registry.implementations(hook):
            try:
                found += [(impl.plugin, item) for item in impl.items(OFFERS[hook])]
            except DaskbridgeError as error:
                self._registry.discard(impl.plugin, error)
        return found


def _is_serializer(item: object) -> str:
    return "" if isinstance(item, Serializer) else "Serializer objects"


def _is_orchestrator(item: object) -> str:
    return "" if isinstance(item, Orchestrator) else "Orchestrator objects"


def _is_cluster_plugin(item: object) -> str:
    return "" if isinstance(item, ClusterPlugin) else "ClusterPlugin objects"


def _is_provisioner(item: object) -> str:
    return "" if isinstance(item, Provisioner) else "objects with the methods of Provisioner"


#: The hooks that offer objects by name, each with its check of an object.
OFFERS: Mapping[str, Callable[[object], str]] = {
    "daskbridge_serializers": _is_serializer,
    "daskbridge_provisioners": _is_provisioner,
    "daskbridge_orchestrators": _is_orchestrator,
}
