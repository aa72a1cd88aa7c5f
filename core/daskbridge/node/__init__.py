"""Code that runs on the scheduler and the workers: the standard library and ``distributed`` only.

Nothing here is imported on a node. The whole package travels there as source text with each
plugin (:mod:`daskbridge._travel`), so that images need only ``dask[distributed]``.
"""

from __future__ import annotations

from daskbridge._travel import Travels

__all__ = ["Travels"]
