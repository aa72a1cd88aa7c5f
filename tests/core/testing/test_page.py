"""The page about the kit says what its tests say, and what a suite may say."""

from __future__ import annotations

import inspect
import re

import pytest
from tests.core.testing.suites import every_test
from tests.pages import ROOT

from daskbridge import testing
from daskbridge.testing._abilities import ABILITIES

PAGE = (ROOT / "docs" / "reference" / "testing.md").read_text("utf-8")


def rows(heading):
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {first.strip(" `"): rest[-1].strip() for first, *rest in cells}


def test_every_test_is_listed_with_what_it_asserts():
    listed = dict(re.findall(r"^\| `(test_\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    tests = {
        name: inspect.getdoc(function).partition("\n")[0].replace("``", "`")
        for name, function in every_test().items()
    }
    assert listed == tests


def test_every_ability_is_listed():
    assert rows("Abilities") == ABILITIES


@pytest.mark.parametrize("name", ["provisioner", "options", "lacks", "patience", "settles"])
def test_an_attribute_is_listed_with_its_default(name):
    default = getattr(testing.ProvisionerSuite, name)
    written = repr(default).replace("'", '"')
    assert f"| `{name}` | `{written}` |" in PAGE
