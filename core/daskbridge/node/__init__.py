"""Code that runs on the scheduler and the workers: the standard library and ``distributed`` only.

Nothing here is imported on a node. The whole package travels there as source text with each
plugin (:mod:`daskbridge.node._travel`), so that images need only ``dask[distributed]``.
"""
