"""Say what is tested, keep the tests out of the user's own cache, and let no clock decide."""

from __future__ import annotations

import os
import signal
from importlib.metadata import version
from tempfile import TemporaryDirectory

from hypothesis import settings

import daskbridge

# a program that a shell starts in the background ignores SIGINT, and so would all that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

_cache = TemporaryDirectory(prefix="daskbridge-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

settings.register_profile("daskbridge", deadline=None)
settings.load_profile("daskbridge")


def pytest_report_header() -> str:
    return f"daskbridge {version('daskbridge')} from {daskbridge.__path__[0]}, dask {version('dask')}"


def pytest_unconfigure() -> None:
    _cache.cleanup()
