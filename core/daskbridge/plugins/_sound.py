"""Whether a plugin's module is one: what its author got wrong, in words, before anything is asked of it."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any

from daskbridge.errors import PluginError, nearest
from daskbridge.plugins import _spec

if TYPE_CHECKING:
    import pluggy

HOOKS = {name: function for name, function in vars(_spec).items() if name.startswith("daskbridge_")}


def fence(module: Any) -> None:  # noqa: ANN401 -- whatever the entry point names
    """Raise PluginError for a module that was written for another version of the API."""
    wanted = getattr(module, "DASKBRIDGE_API", None)
    if wanted is None:
        return
    from packaging.specifiers import SpecifierSet

    if str(_spec.API_VERSION) not in SpecifierSet(wanted):
        msg = f"it was written for plugin API {wanted}, this daskbridge has {_spec.API_VERSION}"
        raise PluginError(msg)


def refuse_wrong_functions(module: Any) -> None:  # noqa: ANN401 -- as above
    """Raise PluginError for a function that looks like a hook and that nobody would call, or not so."""
    for name, spec in HOOKS.items():
        function = getattr(module, name, None)
        if not inspect.isfunction(function):
            continue
        if not hasattr(function, "daskbridge_impl"):
            raise PluginError(f"it has a function {name}() without @hookimpl, which nobody would call")
        known = [*inspect.signature(spec).parameters]
        for argument in inspect.signature(function).parameters:
            if argument not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                near = nearest(argument, known)
                words = f"{has}; did you mean {near!r}?" if near else has
                raise PluginError(f"{name} has no argument {argument!r}; {words}")


def refuse_wrong_hooks(manager: pluggy.PluginManager, module: Any) -> None:  # noqa: ANN401 -- as above
    """Raise PluginError for an implementation of an unknown hook, for a wrapper, and where there is none."""
    callers = manager.get_hookcallers(module) or []
    for caller in callers:
        for impl in caller.get_hookimpls():
            if impl.plugin is not module:
                continue
            if not caller.has_spec() and not impl.optionalhook:
                near = nearest(caller.name, HOOKS)
                msg = f"it implements an unknown hook {caller.name!r}" + (
                    f"; did you mean {near!r}?" if near else ""
                )
                raise PluginError(msg)
            if impl.hookwrapper or impl.wrapper:
                msg = f"it wraps {caller.name!r}; each implementation is called by itself, without wrappers"
                raise PluginError(msg)
    if not callers:
        raise PluginError("it implements no hook", hint="mark a function with daskbridge.plugins.hookimpl")


def place(error: BaseException) -> str:
    """Say in which line an error was raised, if that is in a file: `` (plugin.py:3)``."""
    found = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in found if "importlib" not in frame.filename]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
