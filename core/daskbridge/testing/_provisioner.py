"""What every provisioner has to do."""

from __future__ import annotations

from daskbridge.testing._common import CommonSuite


class ProvisionerSuite(CommonSuite):
    """Test a provisioner."""
