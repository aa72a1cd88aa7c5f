"""One process imports from a tree, and then as if it had never been there."""

from __future__ import annotations

import importlib
import os
import sys

from tests.archives import from_file

from daskbridge.code import CodeSpec, build_bundle
from daskbridge.node.activate import activate, deactivate
from daskbridge.node.install import HostCache


def test_packages_within_packages_without_init_leave_no_module_behind(project, tmp_path):
    root = project({"outer_space/inner/deep/module.py": "", "outer_space/beside.py": ""})
    bundle = build_bundle(CodeSpec([root]), directory=tmp_path)
    installed = HostCache(str(tmp_path / "cache")).install(bundle.reference, from_file(bundle))
    before, paths = set(sys.modules), list(sys.path)
    activate(bundle.reference, installed)
    for name in ("outer_space.beside", "outer_space.inner.deep.module"):
        importlib.import_module(name)
    deactivate(installed)
    assert set(sys.modules) == before
    assert sys.path == paths


def test_a_namespace_that_others_have_a_part_in_stays_for_them(project, tmp_path, monkeypatch):
    (tmp_path / "image" / "shared_space").mkdir(parents=True)
    (tmp_path / "image" / "shared_space" / "theirs.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "image"))
    root = project({"shared_space/ours.py": ""})
    bundle = build_bundle(CodeSpec([root]), directory=tmp_path)
    installed = HostCache(str(tmp_path / "cache")).install(bundle.reference, from_file(bundle))
    activate(bundle.reference, installed)
    for name in ("shared_space.ours", "shared_space.theirs"):
        importlib.import_module(name)
    deactivate(installed)
    left = {name for name in sys.modules if name.startswith("shared_space")}
    assert left == {"shared_space", "shared_space.theirs"}
    assert os.fspath(tmp_path / "image") in sys.modules["shared_space.theirs"].__file__
    for name in left:
        monkeypatch.delitem(sys.modules, name)
