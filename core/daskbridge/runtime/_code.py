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
    from daskbridge.plugins import Run
    from daskbridge.runtime._options import Options

    Code = bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None

logger = logging.getLogger("daskbridge")


def code_for(options: Options, run: Run, stack: ExitStack) -> CodeBundle | InstalledCode | None:
    """Return the bundle that this run ships, or what must be in the nodes' image, or None for neither.

    Blocks while it reads files. Without ``code=`` the plugins are asked, the core's default
    last. What was made for this run is removed when ``stack`` closes; a bundle that the user gave
    stays theirs. Raises BundleError.
    """
    from daskbridge.code import CodeBundle, InstalledCode, publish
    from daskbridge.code._limits import check_archive

    code: Code = options.code
    if code is None or code is True:
        from daskbridge.plugins import plugins

        code = plugins().code_source(run)
        if isinstance(code, CodeBundle):
            stack.callback(code.close)
    if code is None or code is False:
        return None
    if isinstance(code, InstalledCode):
        if setting("environment-check") == "ignore":
            return None
        code.digests()  # what is wrong here is said before anything starts
        return code
    if not isinstance(code, CodeBundle):
        code = _packed(code, options.entry, run.tell)
        stack.callback(code.close)
    if code.url is not None:
        return code
    store: str | None = setting("bundle-store")
    check_archive(code.size, code.selection, store=store is not None)
    return publish(code, store, tell=run.tell) if store else code


def _packed(code: object, entry: str | None, tell: Callable[[str], None]) -> CodeBundle:
    from daskbridge.code import CodeSpec, build_bundle, project_spec
    from daskbridge.code._progress import amount

    if isinstance(code, (str, Path)):
        code = project_spec(code)
    if not isinstance(code, CodeSpec):
        msg = (
            f"code is {code!r}; expected a directory, a CodeSpec, a CodeBundle, an InstalledCode,"
            " or False for no code"
        )
        raise BundleError(msg)
    tell("looking for the code that ships")
    return build_bundle(with_entry(code, entry), progress=amount("packing the code", tell))


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

    Orchestrators load a user's file under names of their own (``unusual_prefix_...``); functions
    defined there pickle by that name. ``__main__`` goes by value and needs nothing.
    """
    file = getattr(sys.modules.get(name or "__main__"), "__file__", None)
    if name is None or name == "__main__" or "." in name or file is None or name in spec.modules:
        return spec
    places = [root.path / entry for root in spec.roots for entry in root.sys_path]
    if any(Path(file) in {place / f"{name}.py", place / name / "__init__.py"} for place in places):
        return spec
    return replace(spec, modules={**spec.modules, name: Path(file)})
