"""What an author writes is checked, and a missing pytest is an error that says how to get it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from daskbridge.errors import PluginError
from daskbridge.testing import AdapterSuite, ProvisionerSuite

WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
import daskbridge.testing
import daskbridge.testing._driver
assert not [name for name in sys.modules if name.startswith("_pytest")]
try:
    from daskbridge.testing import ProvisionerSuite
except ImportError as error:
    print(error)
"""


def test_an_unknown_ability_is_an_error_with_the_nearest_one():
    with pytest.raises(PluginError, match="unknown ability 'scail'.*did you mean 'scale'"):
        type("TestIt", (ProvisionerSuite,), {"lacks": {"scail": "no"}})


def test_an_ability_is_not_lacked_without_a_reason():
    with pytest.raises(PluginError, match="expected the reason, in words"):
        type("TestIt", (ProvisionerSuite,), {"lacks": {"scale": " "}})


def test_programs_that_begin_at_once_see_the_same_capabilities():
    begun, others = threading.Event(), threading.Event()

    class Slow(AdapterSuite):
        adapter = "existing"

        @property
        def targets(self):
            if not begun.is_set():
                begun.set()
                assert others.wait(60)
            return ("local", "existing")

    suite = Slow()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: suite.capabilities)
        assert begun.wait(60)
        second = suite.capabilities
        others.set()
        assert second == first.result(60)
    assert "env" not in second  # `local` has it, `existing` does not


def test_without_pytest_the_error_says_how_to_get_it_and_programs_need_none():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTEST], check=True, capture_output=True, text=True, timeout=60
    )
    expected = "daskbridge.testing.ProvisionerSuite needs pytest: pip install 'daskbridge[testing]'\n"
    assert done.stdout == expected
