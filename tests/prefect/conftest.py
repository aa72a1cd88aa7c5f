"""One Prefect server for all tests; tasks that run in pytest's own process, and programs of a user's."""

from __future__ import annotations

import os
import tempfile

import pytest

#: Prefect reads it when it is imported, and must not touch the user's.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="daskbridge-prefect-")

from prefect.settings import (  # noqa: E402 -- as said
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_BATCH_INTERVAL,
    temporary_settings,
)

from .server import serving


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Give a real server: SQLite, loopback."""
    with serving(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest.fixture
def api(server):
    """Let the flows of pytest's own process report to the server; give it."""
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_LOGGING_TO_API_BATCH_INTERVAL: 0.2}):
        yield server
