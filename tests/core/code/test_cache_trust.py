"""What the host cache believes: a private place, and a tree that is what was put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.archives import from_file, nothing

from daskbridge.node.install import HostCache


@pytest.fixture
def installed(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    return cache


@pytest.mark.parametrize("damage", ["{}", "", '{"digest": 1}'], ids=["empty", "cut", "other"])
def test_a_tree_whose_manifest_is_wrong_is_installed_anew(bundle, installed, damage):
    Path(installed.path(bundle.digest, "manifest")).write_text(damage)
    again = installed.install(bundle.reference, from_file(bundle))
    assert again.source == "test"
    assert installed.find(bundle.reference) == again.tree
    os.close(again.lease)


def test_a_tree_that_is_a_link_is_installed_anew(bundle, installed, tmp_path):
    tree = Path(installed.path(bundle.digest, "tree"))
    tree.rename(tmp_path / "elsewhere")
    tree.symlink_to(tmp_path / "elsewhere")
    again = installed.install(bundle.reference, from_file(bundle))
    assert again.source == "test"
    assert not tree.is_symlink()
    os.close(again.lease)


def edit(file):
    seen = file.stat()
    file.chmod(0o644)
    file.write_text("2")
    file.chmod(seen.st_mode)


def exchange(file):
    file.rename(file.with_name("old"))
    file.symlink_to("old")


def run(file):
    file.chmod(0o755)


def cut(file):
    seen = file.stat()
    os.truncate(file, 0)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


@pytest.mark.parametrize("change", [edit, exchange, run, cut, Path.unlink])
def test_a_tree_of_which_a_file_was_changed_is_installed_anew(bundle, installed, change):
    tree = Path(installed.path(bundle.digest, "tree"))
    change(tree / "a.py")
    again = installed.install(bundle.reference, from_file(bundle))
    assert (again.source, again.tree) == ("test", str(tree))
    assert {str(file.relative_to(tree)) for file in tree.rglob("*.py")} == {"a.py", "b/c.py"}
    assert (tree / "a.py").read_text() == "1"
    assert not (tree / "a.py").is_symlink()
    os.close(again.lease)


def test_what_tasks_put_beside_the_code_is_no_reason_to_install_anew(bundle, installed):
    tree = Path(installed.path(bundle.digest, "tree"))
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "a.cpython-311.pyc").touch()
    (tree / "table.cache").touch()
    again = installed.install(bundle.reference, [("test", nothing)])
    assert again.source == "cache"
    os.close(again.lease)


@pytest.mark.parametrize("damage", [Path.unlink, Path.touch, lambda file: file.write_text("[]")])
def test_a_tree_whose_seal_is_lost_is_installed_anew(bundle, installed, damage):
    seal = Path(installed.path(bundle.digest, "seal"))
    seal.write_text("") if damage is Path.touch else None
    damage(seal)
    again = installed.install(bundle.reference, from_file(bundle))
    assert again.source == "test"
    os.close(again.lease)


def test_the_cache_is_private(tmp_path):
    home = Path(HostCache(str(tmp_path / "cache")).home)
    assert home.stat().st_mode & 0o777 == 0o700
    home.chmod(0o755)
    HostCache(str(tmp_path / "cache"))
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_is_a_link_or_that_others_can_replace_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "v1").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="is a link, belongs to another user or can be replaced"):
        HostCache(str(tmp_path / "linked"))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(PermissionError, match="can be replaced"):
        HostCache(str(tmp_path / "open"))


def test_another_users_cache_and_tree_are_refused(bundle, tmp_path, monkeypatch):
    cache = HostCache(str(tmp_path / "cache"))
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    me = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: me + 1)
    assert cache.find(bundle.reference) is None
    with pytest.raises(PermissionError, match="belongs to another user"):
        HostCache(str(tmp_path / "cache"))


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("what", ["the directory", "the link to it"])
def test_a_cache_in_a_directory_of_another_user_is_refused(tmp_path, what):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    given = tmp_path / ("real" if what == "the directory" else "link")
    os.chown(given, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PermissionError, match="belongs to another user"):
        HostCache(str(given))
