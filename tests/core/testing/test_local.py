"""``local`` passes the conformance kit."""

from __future__ import annotations

from daskbridge.testing import ProvisionerSuite


class TestLocal(ProvisionerSuite):
    provisioner = "local"
