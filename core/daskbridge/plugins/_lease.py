"""What is promised about a cluster's end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lease:
    """Say who ends a cluster and when; the terms are in seconds.

    With ``start``, ``grace`` and ``stale`` the cluster ends itself: when no driver has come within the
    first, or its driver is gone for longer than the second or silent for longer than the third. They are
    None where somebody else ends it. ``lifetime`` is the topology's ``max_lifetime``. ``ends`` says all
    that in words.

    >>> Lease(None, None, None, None, ends="its owner").ends
    'its owner'
    """

    start: float | None
    grace: float | None
    stale: float | None
    lifetime: float | None
    ends: str
