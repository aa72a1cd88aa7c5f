"""The command line: ``daskbridge ...``, and the same as ``dask bridge ...``."""

from __future__ import annotations

from daskbridge.cli._main import cli, main

__all__ = ["cli", "main"]
