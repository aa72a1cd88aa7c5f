"""The environment of this process, while other threads may change it."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """Return the environment as it is now; a loop over ``os.environ`` fails where one goes meanwhile."""
    found = ((name, os.environ.get(name)) for name in list(os.environ))
    return {name: value for name, value in found if value is not None}
