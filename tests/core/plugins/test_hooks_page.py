"""The reference pages have every hook and what hooks answer, as it is."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from daskbridge.cluster import Node, ProcessProvisioner
from daskbridge.plugins import (
    API_VERSION,
    ClusterHandle,
    ClusterRef,
    Orchestrator,
    Provisioner,
    Run,
    Step,
    _spec,
)

REFERENCE = Path(__file__).parents[3].joinpath("docs", "reference")
PAGE = (REFERENCE / "hooks.md").read_text("utf-8")
PROVISIONERS = (REFERENCE / "provisioners.md").read_text("utf-8")
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


def table(page, heading):
    """Return the first column of the table under a heading: the names, without arguments."""
    section = page.partition(f"{heading}\n")[2].partition("\n#")[0]
    return [re.match(r"\w+", cell)[0] for cell in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)]


def test_the_page_has_every_field_of_an_orchestrator():
    assert set(table(PAGE, "## daskbridge_orchestrators")) == {each.name for each in fields(Orchestrator)}


@pytest.mark.parametrize("told", [Run, Step])
def test_the_page_has_every_attribute_of_what_hooks_are_told_with_its_type(told):
    section = PAGE.partition(f"### {told.__name__}\n")[2].partition("\n#")[0]
    types = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section.replace(r"\|", "|"), re.MULTILINE))
    computed = {
        name: inspect.signature(found.fget).return_annotation
        for name, found in vars(told).items()
        if isinstance(found, property)
    }
    assert types == {each.name: each.type for each in fields(told)} | computed


@pytest.mark.parametrize("kind", [ProcessProvisioner, Node])
def test_the_page_of_provisioners_has_every_public_member_of_a_class_with_its_arguments(kind):
    section = PROVISIONERS.partition(f"## {kind.__name__}\n")[2].partition("\n#")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    members = {name for name in {**kind.__annotations__, **vars(kind)} if not name.startswith("_")}
    assert set(listed) == {_with_arguments(name, getattr(kind, name, None)) for name in members}


@pytest.mark.parametrize("protocol", [Provisioner, ClusterHandle])
def test_the_page_of_provisioners_has_every_member_with_its_arguments(protocol):
    heading = {Provisioner: "## Provisioner", ClusterHandle: "## Handle"}[protocol]
    section = PROVISIONERS.partition(f"{heading}\n")[2].partition("\n#")[0]
    needed = re.findall(r"^\| `([^`]+)` \| yes \|", section, re.MULTILINE)
    members = (
        protocol.__protocol_attrs__ if hasattr(protocol, "__protocol_attrs__") else _attributes(protocol)
    )

    assert {re.match(r"\w+", each)[0] for each in needed} == members
    for each in needed:
        name, _, arguments = each.rstrip(")").partition("(")
        if inspect.isfunction(function := getattr(protocol, name, None)):
            assert arguments.split(", ") == ([*inspect.signature(function).parameters][1:] or [""])


def test_the_page_of_provisioners_has_every_field_of_a_reference_with_its_default():
    section = PROVISIONERS.partition("## ClusterRef\n")[2]
    defaults = dict(re.findall(r"^\| `(\w+)` \| (`[^`]*`)? ?\|", section, re.MULTILINE))

    assert defaults == {
        each.name: "" if each.default is MISSING else f"`{each.default!r}`" for each in fields(ClusterRef)
    }


def _with_arguments(name, member):
    """Write a member as the pages do."""
    if not inspect.isfunction(member):
        return name
    return f"{name}({', '.join([*inspect.signature(member).parameters][1:])})"


def _attributes(protocol):
    """Return what a protocol asks for, on a Python that keeps no list of it."""
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    own = [{*vars(base), *getattr(base, "__annotations__", {})} for base in bases]
    return {name for names in own for name in names if not name.startswith("_")}
