"""The host cache: once per host, private, leased, bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest

from daskbridge.code import CodeSpec, build_bundle
from daskbridge.node.install import HostCache, open_cache


@pytest.fixture
def bundle(project, tmp_path):
    return build_bundle(CodeSpec([project({"a.py": "1", "b/c.py": "2"})]), directory=tmp_path)


def from_file(bundle, log=None):
    def read():
        if log is not None:
            log.append(bundle.digest)
        yield bundle.archive.read_bytes()

    return [("test", read)]


def another(project, tmp_path, text):
    return build_bundle(CodeSpec([project({"a.py": text})]), directory=tmp_path)


def nothing():
    raise AssertionError("the source was asked")


INSTALL = """
import json, pathlib, sys
from daskbridge.node.install import HostCache
reference, archive, root, log = json.loads(sys.argv[1]), *sys.argv[2:]
def read():
    with open(log, "a") as file:
        file.write("x")
    yield pathlib.Path(archive).read_bytes()
print("ready", flush=True)
sys.stdin.read(1)
installed = HostCache(root).install(reference, [("test", read)])
print(sorted(str(p.relative_to(installed.tree)) for p in pathlib.Path(installed.tree).rglob("*.py")))
"""


def test_many_processes_at_once_install_once(bundle, tmp_path):
    log = tmp_path / "log"
    told = [json.dumps(bundle.reference), str(bundle.archive), str(tmp_path / "cache"), str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", INSTALL, *told], **pipes) for _ in range(32)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in started] == ["['a.py', 'b/c.py']\n"] * 32
    assert log.read_text() == "x"


def test_a_second_install_asks_no_source(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    first = cache.install(bundle.reference, from_file(bundle))
    again = HostCache(str(tmp_path / "cache")).install(bundle.reference, [("test", nothing)])
    assert (first.source, again.source, first.tree) == ("test", "cache", again.tree)
    os.close(first.lease)
    os.close(again.lease)


@pytest.mark.parametrize("damage", ["{}", "", '{"digest": 1}'], ids=["empty", "cut", "other"])
def test_a_tree_whose_manifest_is_wrong_is_installed_anew(bundle, tmp_path, damage):
    cache = HostCache(str(tmp_path / "cache"))
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    Path(cache.path(bundle.digest, "manifest")).write_text(damage)
    again = cache.install(bundle.reference, from_file(bundle))
    assert again.source == "test"
    assert cache.find(bundle.reference) == again.tree
    os.close(again.lease)


def test_a_tree_that_is_a_link_is_installed_anew(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    tree = Path(cache.path(bundle.digest, "tree"))
    tree.rename(tmp_path / "elsewhere")
    tree.symlink_to(tmp_path / "elsewhere")
    again = cache.install(bundle.reference, from_file(bundle))
    assert again.source == "test"
    assert not tree.is_symlink()
    os.close(again.lease)


def test_the_next_source_is_asked_when_one_fails_and_all_causes_are_told(bundle, tmp_path):
    def broken():
        raise ConnectionResetError("gone")
        yield b""

    cache = HostCache(str(tmp_path / "cache"))
    with pytest.raises(
        RuntimeError, match=r"store: ConnectionResetError: gone; wrong: BundleRejected: .* damaged"
    ):
        cache.install(bundle.reference, [("store", broken), ("wrong", lambda: [b"x"])])
    installed = cache.install(bundle.reference, [("store", broken), *from_file(bundle)])
    assert installed.source == "test"
    os.close(installed.lease)


def test_a_source_that_fails_in_passing_is_asked_again(bundle, tmp_path):
    attempts = []

    def flaky():
        attempts.append(1)
        yield bundle.archive.read_bytes()[:20]
        if len(attempts) < 3:
            raise TimeoutError
        yield bundle.archive.read_bytes()[20:]

    installed = HostCache(str(tmp_path / "cache")).install(bundle.reference, [("test", flaky)])
    assert len(attempts) == 3
    os.close(installed.lease)


def test_the_least_recently_used_tree_goes_first_and_a_leased_one_never(project, tmp_path):
    cache = HostCache(str(tmp_path / "cache"), limit=250)
    bundles = {}
    for name in "abc":
        (tmp_path / name).mkdir()
        bundles[name] = another(project, tmp_path / name, name * 100)
    leases = {name: cache.install(bundles[name].reference, from_file(bundles[name])).lease for name in "ab"}
    for age, name in enumerate("ba"):
        os.utime(cache.path(bundles[name].digest, "manifest"), (age, age))
    os.close(leases["a"])
    os.close(cache.install(bundles["c"].reference, from_file(bundles["c"])).lease)
    there = {name for name in "abc" if cache.find(bundles[name].reference)}
    assert there == {"b", "c"}
    os.close(leases["b"])


def test_what_a_dead_install_left_is_reaped_and_what_a_live_one_writes_is_not(project, bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    dead, live = Path(cache.staging("0" * 64)), Path(cache.staging("1" * 64))
    with cache.locked("1" * 64):
        os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    assert (dead.exists(), live.exists()) == (False, True)


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


def test_the_cache_lies_where_it_is_told_or_in_the_first_usable_place(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert Path(open_cache().home) == tmp_path / "user/daskbridge/v1"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert Path(open_cache(str(tmp_path / "scratch")).home) == tmp_path / "scratch/.daskbridge/v1"
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "chosen")}):
        assert Path(open_cache().home) == tmp_path / "chosen/v1"
    with (
        dask.config.set({"daskbridge.cache-directory": str(tmp_path / "file")}),
        pytest.raises(NotADirectoryError),
    ):
        open_cache()
