"""The one typed way to the plugins: no caller touches pluggy's untyped hooks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from daskbridge.errors import DaskbridgeError, PluginError, unknown
from daskbridge.plugins import _registry
from daskbridge.plugins._registry import Registry, logger
from daskbridge.plugins._types import ClusterPlugin, Orchestrator, PluginInfo, Run, Serializer, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pluggy import HookImpl

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.topology import Dask

#: Adapters of ours that a name may ask for before they are installed.
ADAPTERS = {"flyte": "daskbridge[flyte]", "prefect": "daskbridge[prefect]"}


@cache
def plugins() -> Plugins:
    """Return the process's plugins, found on first use."""
    return Plugins(Registry(_registry.installed()))


class Plugins:
    """Ask the plugins: look one up by its name, collect from all, or tell all.

    Every method runs in the driver and raises :class:`~daskbridge.errors.PluginError`, naming the
    plugin and its distribution, when a plugin that is needed is broken.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def serializer(self, name: str) -> Serializer:
        """Return the serializer of that name; only the plugin of the same name is loaded for it."""
        return cast("Serializer", self._named("serializer", "daskbridge_serializers", name, _is_serializer))

    def provisioner(self, name: str) -> Provisioner:
        """Return the provisioner of that name; only the plugin of the same name is loaded for it."""
        return cast("Provisioner", self._named("provisioner", "daskbridge_provisioners", name, _is_provisioner))

    def target(self, name: str) -> Target:
        """Return the serializer or else the provisioner of that name."""
        try:
            return self.serializer(name)
        except PluginError:
            if not self._offers("daskbridge_provisioners", name):
                raise
            return self.provisioner(name)

    def names(self, hook: str) -> list[str]:
        """List the names that all plugins offer through ``daskbridge_serializers`` or a like hook."""
        self._registry.load_all()
        return sorted(item.name for impl in self._registry.implementations(hook) for item in _call(impl) or ())

    def orchestrator(self) -> Orchestrator | None:
        """Return the orchestrator whose task this process runs, or None.

        Two that both claim the process are an error: the code root and the links of one would be
        lost silently.
        """
        self._registry.load_all()
        detected = [
            (impl.plugin_name, item)
            for impl in self._registry.implementations("daskbridge_orchestrators")
            for item in self._items(impl, _is_orchestrator)
            if item.detect()
        ]
        if len(detected) > 1:
            msg = f"two orchestrators claim this process: {', '.join(name for name, _ in detected)}"
            raise PluginError(msg, hint=f"disable one with {_registry.DENY}")
        return detected[0][1] if detected else None

    def topology(self, topology: Dask, target: Target) -> Dask:
        """Pass a topology through every plugin that adjusts it and return the last answer."""
        self._registry.load_all()
        for impl in self._registry.implementations("daskbridge_topology"):
            changed = _call(impl, topology=topology, target=target)
            if changed is not None and type(changed) is not type(topology):
                raise _wrong_answer(impl, changed, "a Dask topology or None")
            topology = topology if changed is None else changed
        return topology

    def code_source(self, run: Run) -> CodeBundle | CodeSpec | None:
        """Return the first answer to the question which code this run's nodes get."""
        self._registry.load_all()
        for impl in self._registry.implementations("daskbridge_code_source"):
            answer: CodeBundle | CodeSpec | None = _call(impl, run=run)
            if answer is not None:
                return answer
        return None

    def cluster_plugins(self, topology: Dask, run: Run) -> list[ClusterPlugin]:
        """Return every Dask plugin that the plugins want on this run's cluster, in order."""
        self._registry.load_all()
        return [
            item
            for impl in self._registry.implementations("daskbridge_cluster_plugins")
            for item in self._items(impl, _is_cluster_plugin, topology=topology, run=run)
        ]

    def step(self, step: str, state: str, elapsed: float, detail: str, run: Run) -> None:
        """Tell every listener of a step; one that raises is logged and stops nobody."""
        for impl in self._registry.implementations("daskbridge_step"):
            try:
                _call(impl, step=step, state=state, elapsed=elapsed, detail=detail, run=run)
            except DaskbridgeError:
                logger.warning("a listener of steps failed", exc_info=True)

    def listing(self) -> list[PluginInfo]:
        """List every plugin of the environment, loading all, with what it provides and its status."""
        self._registry.load_all()
        return [self._info(name) for name in sorted(self._registry.entries)]

    def _info(self, name: str) -> PluginInfo:
        entry = self._registry.entries[name]
        status = "disabled" if entry.disabled else "broken" if entry.error else "active"
        provides: list[str] = []
        if status == "active":
            for caller in self._registry.manager.get_hookcallers(self._registry.manager.get_plugin(name)) or []:
                named = caller.name.removeprefix("daskbridge_").removesuffix("s")
                if named in {"serializer", "provisioner", "orchestrator"}:
                    impls = self._registry.implementations(caller.name, name)
                    provides += [f"{named}:{item.name}" for impl in impls for item in _call(impl) or ()]
                else:
                    provides.append(caller.name)
        return PluginInfo(
            name=name,
            distribution=", ".join(_registry.distribution(point) for point in entry.points),
            version=", ".join(_registry.version(point) for point in entry.points),
            module=entry.points[0].value,
            status=status,  # type: ignore[arg-type]  # one of the literals above
            provides=tuple(sorted(provides)),
            error=str(entry.error or entry.disabled),
        )

    def _named(self, kind: str, hook: str, name: str, valid: Callable[[object], str]) -> Any:  # noqa: ANN401
        if self._registry.load(name):
            for impl in self._registry.implementations(hook, name):
                for item in self._items(impl, valid):
                    if item.name == name:
                        return item
        found = self._offers(hook, name, valid)
        if len(found) > 1:
            msg = f"two plugins offer a {kind} named {name!r}: {', '.join(plugin for plugin, _ in found)}"
            raise PluginError(msg, hint=f"disable one with {_registry.DENY}")
        if not found:
            hint = f"pip install '{ADAPTERS[name]}'" if name in ADAPTERS else None
            raise PluginError(unknown(kind, name, self.names(hook)), hint=hint)
        return found[0][1]

    def _offers(self, hook: str, name: str, valid: Callable[[object], str] | None = None) -> list[tuple[str, Any]]:
        self._registry.load_all()
        return [
            (impl.plugin_name, item)
            for impl in self._registry.implementations(hook)
            for item in self._items(impl, valid or (lambda _: ""))
            if item.name == name
        ]

    def _items(self, impl: HookImpl, valid: Callable[[object], str], **arguments: object) -> list[Any]:
        answer = _call(impl, **arguments)
        items = list(answer) if isinstance(answer, (list, tuple, set, frozenset)) else [answer]
        if answer is None:
            return []
        for item in items:
            if wanted := valid(item):
                raise _wrong_answer(impl, item, wanted)
        return items


def _is_serializer(item: object) -> str:
    return "" if isinstance(item, Serializer) else "Serializer objects"


def _is_orchestrator(item: object) -> str:
    return "" if isinstance(item, Orchestrator) else "Orchestrator objects"


def _is_cluster_plugin(item: object) -> str:
    return "" if isinstance(item, ClusterPlugin) else "ClusterPlugin objects"


def _is_provisioner(item: object) -> str:
    from daskbridge.cluster import Provisioner

    return "" if isinstance(item, Provisioner) else "objects with the methods of Provisioner"


def _call(impl: HookImpl, **arguments: object) -> Any:  # noqa: ANN401 -- each caller knows its hook
    try:
        return impl.function(*(arguments[name] for name in impl.argnames))
    except DaskbridgeError:
        raise  # said on purpose, for the user
    except Exception as error:
        msg = f"plugin {impl.plugin_name!r} failed in {impl.function.__name__}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error


def _wrong_answer(impl: HookImpl, answer: object, wanted: str) -> PluginError:
    hook = impl.function.__name__
    return PluginError(f"plugin {impl.plugin_name!r} answered {hook} with {answer!r}; expected {wanted}")
