"""Decide which code a run's nodes get, and pack it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.errors import BundleError
from daskbridge.settings import setting

if TYPE_CHECKING:
    from contextlib import ExitStack

    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.plugins import Run
    from daskbridge.runtime._options import Options


def bundle_for(options: Options, run: Run, stack: ExitStack) -> CodeBundle | None:
    """Return the bundle that this run ships, or None for ``code=False``; blocks while it packs.

    Without ``code=`` the plugins are asked, the core's default last. What is packed here is
    removed when ``stack`` closes; a bundle that was given stays its owner's. Raises BundleError.
    """
    from daskbridge.code import CodeBundle, CodeSpec, build_bundle, project_spec, publish
    from daskbridge.code._limits import check_archive

    code: bool | str | Path | CodeSpec | CodeBundle | None = options.code
    if code is False:
        return None
    if code is None or code is True:
        from daskbridge.plugins import plugins

        code = plugins().code_source(run)
    if code is None or isinstance(code, CodeBundle):
        return code
    if isinstance(code, (str, Path)):
        code = project_spec(code)
    given: object = code
    if not isinstance(given, CodeSpec):
        msg = f"code is {given!r}; expected a directory, a CodeSpec, a CodeBundle, or False for no code"
        raise BundleError(msg)
    bundle = build_bundle(with_entry(code, options.entry))
    stack.callback(bundle.close)
    store: str | None = setting("bundle-store")
    check_archive(bundle.size, bundle.selection, store=store is not None)
    return publish(bundle, store) if store else bundle


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
