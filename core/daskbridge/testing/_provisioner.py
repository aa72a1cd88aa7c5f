"""What every provisioner has to do."""

from __future__ import annotations

from daskbridge.testing._code import CodeTests
from daskbridge.testing._scenario import Scenario

PROGRAMS = "daskbridge.testing._programs"


class ProvisionerSuite(CodeTests):
    """Test a provisioner."""

    def scenarios(self) -> list[Scenario]:
        """List the programs of this suite."""
        return [Scenario("life", f"{PROGRAMS}.life")]
