"""The provisioner does what every provisioner has to do: on this machine, and by templates."""

import sys

from daskbridge.testing import ProvisionerSuite


class TestCommand(ProvisionerSuite):
    """Start the scheduler by default, workers by a template."""

    provisioner = "command"
    options = {"worker": ["nice", sys.executable, "{dask}"]}
