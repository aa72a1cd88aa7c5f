"""What is public is on a page, documented, and leaves in a way that its users can see."""

from __future__ import annotations

import re
import warnings
from importlib import import_module

import pytest
from tests.pages import ROOT

from daskbridge.plugins import _spec

PAGE = (ROOT / "docs" / "reference" / "stability.md").read_text("utf-8")
PUBLIC = {
    package: re.findall(r"`(\w+)`", names)
    for package, names in re.findall(r"^\| `([\w.]+)` \| [^|]+ \| (.+) \|$", PAGE, re.MULTILINE)
}


@pytest.mark.parametrize("package", PUBLIC)
def test_the_page_has_what_a_package_offers(package):
    module = import_module(package)
    offered = getattr(module, "__all__", None)

    if offered is not None:
        assert PUBLIC[package] == list(offered)
    for name in PUBLIC[package]:
        assert hasattr(module, name), name


def test_the_page_has_every_error():
    module = import_module("daskbridge.errors")
    errors = {name for name, kind in vars(module).items() if isinstance(kind, type)} - {"ClassVar"}

    assert {each for each in errors if issubclass(getattr(module, each), Exception)} <= {
        *PUBLIC["daskbridge.errors"]
    }


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, names in PUBLIC.items() for name in names]
)
def test_a_public_class_or_function_says_in_one_line_what_it_does(package, name):
    value = getattr(import_module(package), name)

    if callable(value) and getattr(value, "__module__", "").startswith("daskbridge"):
        first = (value.__doc__ or "").strip().partition("\n")[0]
        assert first.endswith((".", ";", ":", "?")) or len(first) > 20, name
        assert not first.startswith(f"{name}("), "written for people, not made by dataclass"


@pytest.mark.parametrize(
    "deprecated",
    [{"warn_on_impl": DeprecationWarning("use daskbridge_orchestrators; gone in 9.0")}, "argument"],
    ids=["a hook", "an argument"],
)
def test_a_plugin_that_uses_what_is_deprecated_is_told_where_and_works(site, monkeypatch, deprecated):
    options = _spec.daskbridge_step.daskbridge_spec
    if deprecated == "argument":
        deprecated = {"warn_on_impl_args": {"detail": DeprecationWarning("use run; gone in 9.0")}}
    for name, warning in deprecated.items():
        monkeypatch.setitem(options, name, warning)
    module = site.add(
        "acme",
        "acme",
        """
        from daskbridge.plugins import hookimpl

        @hookimpl
        def daskbridge_step(step, detail): ...
        """,
    )

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        listed = {info.name: info.status for info in site.plugins().listing()}

    # the core's own implementation is told, too
    (warning,) = [each for each in told if each.filename.endswith(f"{module}.py")]
    assert warning.category is DeprecationWarning
    assert "gone in 9.0" in str(warning.message)
    assert listed["acme"] == "active"
