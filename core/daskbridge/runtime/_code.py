"""Decide which code a run's nodes get, and pack it."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.errors import BundleError
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import Orchestrator, Run
    from daskbridge.runtime._options import Options

    Code = bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None

logger = logging.getLogger("daskbridge")


def source_of(
    options: Options, run: Run, orchestrator: Orchestrator | None
) -> CodeSpec | CodeBundle | InstalledCode | None:
    """Return what to pack, what is packed or what the image must have; None for neither.

    Without ``code=`` the plugins and the orchestrator are asked, the core's default last. Raises BundleError.
    """
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode, project_spec
    from daskbridge.plugins import plugins

    code: object = options.code
    if code is None or code is True:
        code = plugins().code_source(run, orchestrator)
    if isinstance(code, (str, Path)):
        code = project_spec(code)
    if isinstance(code, CodeSpec):
        return with_entry(code, options.entry)
    if code is None or code is False:
        return None
    if not isinstance(code, (CodeBundle, InstalledCode)):
        msg = (
            f"code is {code!r}; expected a directory, a CodeSpec, a CodeBundle, an InstalledCode,"
            " or False for no code"
        )
        raise BundleError(msg)
    return code


def code_for(
    source: CodeSpec | CodeBundle | InstalledCode | None,
    options: Options,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> CodeBundle | InstalledCode | None:
    """Return the bundle that this run ships, or what must be in the nodes' image, or None for neither.

    Blocks while it reads files. What was made for this run is removed when ``stack`` closes; a bundle
    that the user gave stays theirs. Raises BundleError.
    """
    from daskbridge.code import CodeBundle, InstalledCode, publish
    from daskbridge.code._limits import check_archive

    if source is None:
        return None
    if isinstance(source, InstalledCode):
        if setting("environment-check") == "ignore":
            return None
        source.digests()  # what is wrong here is said before anything starts
        return source
    code = source if isinstance(source, CodeBundle) else _packed(source, tell)
    if code is not options.code:
        stack.callback(code.close)
    if code.url is not None:
        return code
    store: str | None = setting("bundle-store")
    check_archive(code.size, code.selection, store=store is not None)
    return publish(code, store, tell=tell) if store else code


def _packed(spec: CodeSpec, tell: Callable[[str], None]) -> CodeBundle:
    from daskbridge.code import build_bundle
    from daskbridge.code._progress import amount

    tell("looking for the code that ships")
    return build_bundle(spec, progress=amount("packing the code", tell))


def warned(code: CodeBundle | InstalledCode | None) -> tuple[str, ...]:
    """Warn once in this process of a bundle that is unusually large; return what every run notes of it."""
    from daskbridge.code import CodeBundle
    from daskbridge.code._limits import unusual

    words = unusual(code.selection) if isinstance(code, CodeBundle) else None
    if words is None:
        return ()
    _warn(words)
    return (words,)


@lru_cache(maxsize=64)
def _warn(words: str) -> None:
    logger.warning(words)


def with_entry(spec: CodeSpec, name: str | None) -> CodeSpec:
    """Add the module of a decorated function, where nodes would not find it under its name.

    Orchestrators load a user's file under names of their own (``unusual_prefix_...``, also below a
    package that is no file's); functions defined there pickle by that name. ``__main__`` goes by value
    and needs nothing.
    """
    from daskbridge.code import Root

    file = getattr(sys.modules.get(name or "__main__"), "__file__", None)
    if name is None or name == "__main__" or file is None or name in spec.modules:
        return spec
    top, path = name.partition(".")[0], Path(file)
    if top != name and getattr(sys.modules.get(top), "__file__", None):
        return spec  # of a real package, which ships as a whole or not at all
    places = [root.path / entry for root in spec.roots for entry in root.sys_path]
    stem = name.replace(".", "/")
    if any(path in {place / f"{stem}.py", place / stem / "__init__.py"} for place in places):
        return spec
    if path.name == "__init__.py":
        return replace(spec, roots=(*spec.roots, Root(path.parent, package=name)))
    return replace(spec, modules={**spec.modules, name: path})
