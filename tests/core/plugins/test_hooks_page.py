"""The reference page has every hook, as it is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from daskbridge.plugins import API_VERSION, _spec

PAGE = Path(__file__).parents[3].joinpath("docs", "reference", "hooks.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
HOOKS = [name for name in vars(_spec) if name.startswith("daskbridge_")]


def test_the_page_has_the_hooks_in_their_order():
    assert list(SECTIONS) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_says_of_a_hook_what_its_author_must_know(hook):
    signature = str(inspect.signature(getattr(_spec, hook))).replace("'", "")
    section = SECTIONS[hook]

    assert f"```text\n{hook}{signature}\n```" in section
    assert re.findall(r"^\*\*(\w+)\*\*", section, re.MULTILINE) == ["Called", "Process", "Return"]
    (example,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert f"@hookimpl\ndef {hook}(" in example
    assert f"{hook}(" in example.rpartition("\n\n\n")[2], "the example calls it"


def test_the_page_names_the_api_version():
    assert f"this is version {API_VERSION}." in PAGE
    assert f'DASKBRIDGE_API = ">={API_VERSION},<{API_VERSION + 1}"' in PAGE
