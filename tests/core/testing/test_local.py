"""``local`` passes the conformance kit."""

from __future__ import annotations

import pytest

from daskbridge.testing import ProvisionerSuite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestLocal(ProvisionerSuite):
    provisioner = "local"
