"""Which modules are compared, and where a process would find them without importing any."""

from __future__ import annotations

import importlib
import sys
from hashlib import sha256

import pytest

from daskbridge.code import InstalledCode
from daskbridge.errors import BundleError
from daskbridge.node.installed import differing, locate

PROJECT = {
    "flow_wf.py": "import flow_shop.prices",
    "flow_shop/__init__.py": "",
    "flow_shop/prices.py": "PRICE = 1",
    "flow_shop/unused.py": "",
    "flow_space/inner/deep.py": "",
}
BROKEN = "raise AssertionError('this must not be imported')"


@pytest.fixture
def imported(project, monkeypatch):
    """Write files, put the project on the path, import what is named; forget it all afterwards."""
    before = set(sys.modules)

    def prepare(files, *names, below=""):
        root = project(files)
        monkeypatch.syspath_prepend(root / below)
        for name in names:
            importlib.import_module(name)
        return root / below

    yield prepare
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_named_module_and_what_else_was_loaded_from_the_same_place_are_compared(
    imported, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "flow_other.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    root = imported(PROJECT, "flow_wf", "flow_space.inner.deep", "flow_other")
    found = InstalledCode(["flow_wf"]).digests()
    assert list(found) == ["flow_shop", "flow_shop.prices", "flow_space.inner.deep", "flow_wf"]
    assert found["flow_shop.prices"] == sha256((root / "flow_shop/prices.py").read_bytes()).hexdigest()
    assert [*InstalledCode(["flow_wf", "flow_other"]).digests()] == ["flow_other", *found]


def test_of_an_installed_package_only_its_own_modules_are_compared(imported):
    files = {f"site-packages/{name}": text for name, text in PROJECT.items()}
    imported(files, "flow_wf", below="site-packages")
    assert list(InstalledCode(["flow_shop.prices"]).digests()) == ["flow_shop", "flow_shop.prices"]


def test_a_named_module_need_not_be_loaded_and_is_not_by_the_comparison(imported):
    imported({"flow_lazy/__init__.py": BROKEN, "flow_lazy/tasks.py": BROKEN})
    assert list(InstalledCode("flow_lazy.tasks").digests()) == ["flow_lazy.tasks"]


def test_a_module_under_an_alias_does_not_bring_the_alias_in(imported, monkeypatch):
    imported(PROJECT, "flow_wf")
    monkeypatch.setitem(sys.modules, "flow_alias", sys.modules["flow_wf"])
    monkeypatch.setitem(sys.modules, "__mp_main__", sys.modules["flow_wf"])
    assert {"flow_alias", "__mp_main__"}.isdisjoint(InstalledCode(["flow_wf"]).digests())


@pytest.mark.parametrize(
    ("modules", "words", "hint"),
    [
        (["__main__"], "names '__main__'", "name the modules that it imports"),
        ([], "names no module", "name the module of your task"),
        (["a..b"], r"'a\.\.b' is not the name of a module", "in full"),
        (
            ["flow_nowhere.a"],
            "module 'flow_nowhere.a' has no file that can be compared here: missing",
            "ship",
        ),
        (["flow_space.inner"], "module 'flow_space.inner' has no file", "ship"),
        (["sys"], "module 'sys' has no file .*: built-in", "ship"),
    ],
    ids=["__main__", "nothing", "no name", "missing", "namespace", "built in"],
)
def test_what_can_not_be_compared_is_refused_with_the_next_step(imported, modules, words, hint):
    imported(PROJECT)
    with pytest.raises(BundleError, match=words) as caught:
        InstalledCode(modules).digests()
    assert hint in caught.value.__notes__[0]


def test_a_loaded_module_whose_file_is_gone_is_named(imported):
    root = imported(PROJECT, "flow_wf")
    (root / "flow_shop/prices.py").unlink()
    with pytest.raises(BundleError, match=r"module 'flow_shop.prices' has no file .*prices\.py"):
        InstalledCode(["flow_wf"]).digests()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("flow_wf", "flow_wf.py"),
        ("flow_shop", "flow_shop/__init__.py"),
        ("flow_shop.prices", "flow_shop/prices.py"),
        ("flow_space.inner.deep", "flow_space/inner/deep.py"),
        ("flow_space.inner", None),
        ("flow_shop.prices.more", None),
        ("flow_shop.nothing", None),
        ("nothing.at.all", None),
    ],
)
def test_a_module_is_found_step_by_step_without_being_imported(imported, name, file):
    root = imported(dict.fromkeys(PROJECT, BROKEN))
    assert locate(name) == (str(root / file) if file else None)
    assert not [name for name in sys.modules if name.startswith("flow_")]


def test_a_module_that_says_nothing_of_its_origin_is_missing(imported, monkeypatch):
    monkeypatch.setitem(sys.modules, "flow_made_up", type(sys)("flow_made_up"))
    assert locate("flow_made_up") is None


def test_only_what_differs_is_told(imported):
    root = imported(PROJECT, "flow_wf")
    expected = InstalledCode(["flow_wf"]).digests()
    assert differing(expected) == {}
    (root / "flow_shop/prices.py").write_text("PRICE = 2")
    (root / "flow_wf.py").unlink()
    for name in expected:
        del sys.modules[name]
    importlib.invalidate_caches()
    assert differing(expected) == {"flow_shop.prices": sha256(b"PRICE = 2").hexdigest(), "flow_wf": "missing"}
