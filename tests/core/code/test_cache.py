"""The host cache: asked first, filled from what answers, leased, bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.archives import from_file, nothing

from daskbridge.code import CodeSpec, build_bundle
from daskbridge.node.install import HostCache


def another(project, tmp_path, text):
    return build_bundle(CodeSpec([project({"a.py": text})]), directory=tmp_path)


def test_a_second_install_asks_no_source(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    first = cache.install(bundle.reference, from_file(bundle))
    again = HostCache(str(tmp_path / "cache")).install(bundle.reference, [("test", nothing)])
    assert (first.source, again.source, first.tree) == ("test", "cache", again.tree)
    os.close(first.lease)
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


def test_a_file_among_the_staging_directories_is_left_alone(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    Path(cache.home, "staging", ".nfs0001").touch()  # network file systems leave such names
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)


def test_the_archive_that_a_scheduler_serves_outlives_a_tree_that_is_installed_anew(bundle, tmp_path):
    cache = HostCache(str(tmp_path / "cache"))
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    Path(cache.path(bundle.digest, "archive")).write_text("served")
    Path(cache.path(bundle.digest, "tree", "a.py")).unlink()
    os.close(cache.install(bundle.reference, from_file(bundle)).lease)
    assert Path(cache.path(bundle.digest, "archive")).read_text() == "served"
