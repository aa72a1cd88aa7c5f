"""The core's own code source: the running script's project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.plugins import hookimpl

if TYPE_CHECKING:
    from daskbridge.code import CodeSpec


@hookimpl(trylast=True)
def daskbridge_code_source(run: Any) -> CodeSpec:  # noqa: ANN401 -- the run's type is the runtime's
    """Return the project at the root that the orchestrator named, else the script's own.

    With it goes what this process has loaded of editable installs; if an installed command comes from
    one, nothing else does.
    """
    from daskbridge.code import default_spec, project_spec
    from daskbridge.code._layout import of_command, with_editables

    root = getattr(run, "code_root", None)
    if root is not None:
        return with_editables(project_spec(root))
    return of_command(with_editables(default_spec()))
