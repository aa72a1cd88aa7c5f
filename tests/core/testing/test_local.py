"""``local`` passes the conformance kit."""

from __future__ import annotations

import pytest

from daskbridge.testing import ProvisionerSuite

pytestmark = pytest.mark.slow


class TestLocal(ProvisionerSuite):
    provisioner = "local"
