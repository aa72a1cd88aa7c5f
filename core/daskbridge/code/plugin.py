"""The core's own code source: the project of the running script, or of an orchestrator's task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daskbridge.plugins import hookimpl

if TYPE_CHECKING:
    from daskbridge.code import CodeSpec


@hookimpl(trylast=True)
def daskbridge_code_source(run: Any) -> CodeSpec:  # noqa: ANN401 -- the run's type is the runtime's
    """Return the project that the orchestrator named, or that of its task's module, or else the script's.

    A task's script may be the orchestrator's own. With the project goes what this process has loaded of
    editable installs; if an installed command comes from one, nothing else does.
    """
    from daskbridge.code import default_spec, module_spec, project_spec
    from daskbridge.code._layout import of_command, with_editables

    root = getattr(run, "code_root", None)
    if root is not None:
        return with_editables(project_spec(root))
    entry = getattr(run, "entry", None)
    if getattr(run, "orchestrator", None) is not None and entry not in {None, "__main__"}:
        spec = module_spec(entry)
        if spec is not False:
            return with_editables(spec)
    return of_command(with_editables(default_spec()))
