"""Decide which code a run's nodes get, and pack it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.plugins import Run
    from daskbridge.runtime._options import Options


def bundle_for(options: Options, run: Run) -> CodeBundle | None:
    """Return the bundle that this run ships, packed in this process, or None for ``code=False``.

    Without ``code=`` the plugins are asked, the core's default last. Raises BundleError.
    """
    from daskbridge.code import CodeBundle, build_bundle, project_spec

    code: bool | str | Path | CodeSpec | CodeBundle | None = options.code
    if code is False:
        return None
    if code is None or code is True:
        from daskbridge.plugins import plugins

        code = plugins().code_source(run)
    if code is None or isinstance(code, CodeBundle):
        return code
    if isinstance(code, (str, Path)):
        code = project_spec(Path(code))
    return build_bundle(code)
