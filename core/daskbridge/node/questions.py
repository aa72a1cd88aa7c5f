"""What the driver asks of a node: each is a function that travels, for ``Client.run`` and its like."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import Travels
from .installed import locate

if TYPE_CHECKING:
    from distributed import Scheduler


class Distributions(Travels):
    """Ask which versions of some distributions a node has; nothing is imported there.

    ``wanted`` maps each distribution to the modules of it without which the code can't run. The
    answer leaves out what the node lacks, unless it lacks such a module, too: then it is None. So
    ``opencv-python`` is not missing where ``opencv-python-headless`` brings ``cv2``.
    """

    __name__ = "daskbridge_distributions"  # Dask logs it

    def __init__(self, wanted: dict[str, list[str]]) -> None:
        self.wanted = wanted

    def __call__(self) -> dict[str, str | None]:
        """Answer, on the node."""
        found: dict[str, str | None] = {}
        for name, modules in self.wanted.items():
            try:
                found[name] = str(version(name))
            except PackageNotFoundError:
                if any(locate(module) is None for module in modules):
                    found[name] = None
        return found


class About(Travels):
    """Ask a scheduler which plugins of daskbridge it has, and whether it serves a dashboard."""

    __name__ = "daskbridge_about"

    def __call__(self, *, dask_scheduler: Scheduler) -> dict[str, Any]:
        """Answer, on the scheduler: its own plugins, its workers' and its nannies'."""
        kinds = (dask_scheduler.plugins, dask_scheduler.worker_plugins, dask_scheduler.nanny_plugins)
        names = {str(name) for kind in kinds for name in kind}
        return {
            "plugins": sorted(name for name in names if name.startswith("daskbridge")),
            "dashboard": "distributed.dashboard.scheduler" in sys.modules,
        }
