"""Find, load and isolate plugins: one scan of the entry points, one plugin loaded per lookup."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pluggy

from daskbridge.errors import PluginError
from daskbridge.plugins import _spec
from daskbridge.plugins._implementation import Implementation
from daskbridge.plugins._sound import fence, place, refuse_wrong_functions, refuse_wrong_hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.metadata import EntryPoint

    from daskbridge.errors import DaskbridgeError

GROUP = "daskbridge"
ALLOW = "DASKBRIDGE_PLUGINS"
DENY = "DASKBRIDGE_PLUGINS_DISABLE"
#: The distribution whose plugins an allow list can't leave out: the core works by them.
CORE = "daskbridge"

logger = logging.getLogger("daskbridge.plugins")


@dataclass
class Entry:
    """Hold one entry point and how far it got; ``error`` is set once it turned out to be broken."""

    points: list[EntryPoint]
    disabled: str = ""
    loaded: bool = False
    error: PluginError | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.points[0].name

    @property
    def origin(self) -> str:
        """Name the distribution and its version, both where two claim one name."""
        return " and ".join(f"{distribution(point)} {version(point)}" for point in self.points)

    @property
    def hint(self) -> str:
        """Say how to go on without this plugin."""
        return f"uninstall it, install another version, or set {DENY}={self.name}"


def distribution(point: EntryPoint) -> str:
    """Name the distribution that an entry point belongs to."""
    return point.dist.name if point.dist else "unknown"


def version(point: EntryPoint) -> str:
    """Return the version of the distribution that an entry point belongs to."""
    return point.dist.version if point.dist else "?"


def requirements(point: EntryPoint) -> list[str]:
    """Name what the distribution of an entry point requires, without what its extras add."""
    from packaging.requirements import Requirement

    needed = map(Requirement, (point.dist.requires if point.dist else None) or ())
    return [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]


class Registry:
    """Own pluggy's manager and the table of entry points; load a plugin when it is asked for."""

    def __init__(self, points: Iterable[EntryPoint], environ: Mapping[str, str] = os.environ) -> None:
        self._lock = threading.RLock()  # runs in threads begin at once; a plugin may ask for another
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(_spec)
        self.entries: dict[str, Entry] = {}
        for point in points:
            self.entries.setdefault(point.name, Entry([])).points.append(point)
        allowed, denied = (_names(environ.get(key, "")) for key in (ALLOW, DENY))
        for name, entry in self.entries.items():
            if name in denied:
                entry.disabled = f"{DENY} names it"
            elif allowed and name not in allowed and distribution(entry.points[0]) != CORE:
                entry.disabled = f"{ALLOW} does not name it"

    def load(self, name: str) -> bool:
        """Load one plugin; return False if there is none of that name. Raises PluginError if broken."""
        entry = self.entries.get(name)
        if entry is None:
            return False
        if entry.disabled:
            msg = f"plugin {name!r} ({entry.origin}) is disabled: {entry.disabled}"
            raise PluginError(msg, hint=f"change the environment variable {entry.disabled.split()[0]}")
        with self._lock:
            if not entry.loaded and entry.error is None:
                try:
                    self._register(entry)
                except (Exception, SystemExit) as error:
                    entry.error = _broken(entry, error)
                    raise entry.error from error
                entry.loaded = True
        if entry.error is not None:
            raise entry.error
        return True

    def load_all(self) -> None:
        """Load what is left; a broken plugin is one warning and never stops the others."""
        with self._lock:
            for name, entry in self.entries.items():
                if entry.loaded or entry.disabled or entry.error is not None:
                    continue
                try:
                    self.load(name)
                except PluginError as error:
                    logger.warning("%s", error)

    def discard(self, name: str, error: DaskbridgeError) -> None:
        """Take out a plugin that turned out to be broken when it was called, with one warning."""
        entry = self.entries[name]
        with self._lock:
            if entry.error is not None:
                return
            told = str(error)
            if entry.origin not in told:
                told = "; ".join([str(_broken(entry, error)), *getattr(error, "__notes__", ())])
            entry.error = PluginError(told, hint=entry.hint)
            self.manager.unregister(name=name)
        logger.warning("%s", entry.error)

    def implementations(self, hook: str, plugin: str | None = None) -> list[Implementation]:
        """Return the implementations of a hook in the order of their calls, of one plugin or of all.

        The order is that of the plugins' names, between ``tryfirst`` and ``trylast``: it depends
        neither on the installation nor on what was loaded first.
        """
        found = getattr(self.manager.hook, hook).get_hookimpls()
        return [
            Implementation(
                hook=hook,
                plugin=impl.plugin_name,
                origin=f"plugin {impl.plugin_name!r} ({self.entries[impl.plugin_name].origin})",
                hint=self.entries[impl.plugin_name].hint,
                function=impl.function,
                arguments=impl.argnames,
            )
            for impl in sorted(found, key=lambda impl: (impl.trylast, not impl.tryfirst, impl.plugin_name))
            if plugin is None or impl.plugin_name == plugin
        ]

    def _register(self, entry: Entry) -> None:
        if len(entry.points) > 1:
            msg = f"two distributions provide a plugin named {entry.name!r}: {entry.origin}"
            raise PluginError(msg, hint=f"uninstall one of them, or disable the name with {DENY}")
        module = entry.points[0].load()
        fence(module)
        refuse_wrong_functions(module)
        try:
            self.manager.register(module, name=entry.name)
            refuse_wrong_hooks(self.manager, module)
        except Exception:
            if self.manager.has_plugin(entry.name):  # pluggy 1.6 leaves it half registered
                self.manager.unregister(name=entry.name)
            raise


def _broken(entry: Entry, error: BaseException) -> PluginError:
    if isinstance(error, PluginError):
        msg = f"plugin {entry.name!r} ({entry.origin}) can't be used: {error}"
    elif isinstance(error, ModuleNotFoundError) and error.name == entry.points[0].module:
        written = f"{entry.name} = {entry.points[0].value!r}"
        msg = f"plugin {entry.name!r} ({entry.origin}) can't be loaded: its entry point says {written}"
        msg += ", and there is no such module; install it anew after a change of its pyproject.toml"
    else:
        words = " ".join(str(error).split())
        msg = f"plugin {entry.name!r} ({entry.origin}) can't be loaded: {type(error).__name__}: {words}"
        msg += place(error)
    return PluginError(msg, hint=entry.hint)


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
