"""The runner's code on nodes: all its modules travel there as source text, and need no daskbridge.

``scheduler`` and ``worker`` use the standard library and ``distributed`` only; the others import Prefect,
which only workers have.
"""

from __future__ import annotations

from daskbridge.plugins import Travels

__all__ = ["Travels"]
