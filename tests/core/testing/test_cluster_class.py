"""``cluster-class`` passes the conformance kit, with a class whose nodes are processes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from daskbridge.testing import ProvisionerSuite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestClusterClass(ProvisionerSuite):
    provisioner = "cluster-class"
    options = {"class": "kit_clusters.Processes"}  # noqa: RUF012 -- as authors write it

    @contextmanager
    def surroundings(self, directory):
        classes = Path(__file__).with_name("classes")
        yield {"PYTHONPATH": str(classes), "DASK_TEMPORARY_DIRECTORY": str(directory)}
