"""No test of the kit is there that nothing broken fails by: it might be one that can't fail."""

from __future__ import annotations

from tests.core.testing.suites import every_test
from tests.core.testing.test_broken_adapters import BROKEN as ADAPTERS
from tests.core.testing.test_broken_provisioners import BROKEN as PROVISIONERS


def test_every_test_is_the_one_that_something_broken_fails_by():
    targets = [tests for _, tests in PROVISIONERS.values()] + [broken.tests for broken in ADAPTERS.values()]
    assert {f"test_{name}" for tests in targets for name in tests.split()} == {*every_test()}
