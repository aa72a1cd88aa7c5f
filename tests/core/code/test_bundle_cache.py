"""`daskbridge bundle cache` shows what this host keeps, finds damage, and removes what nobody uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dask.config
import pytest
from click.testing import CliRunner

from daskbridge.cli._bundle import bundle
from daskbridge.code import CodeSpec, build_bundle
from daskbridge.errors import BundleError
from daskbridge.node.install import HostCache


@pytest.fixture
def cache(tmp_path):
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "cache")}):
        yield HostCache(str(tmp_path / "cache"))


@pytest.fixture
def install(project, cache, tmp_path):
    def make(text):
        with build_bundle(CodeSpec([project({"a.py": text})]), directory=tmp_path) as built:
            installed = cache.install(built.reference, [("test", lambda: [built.archive.read_bytes()])])
        os.close(installed.lease)
        return built.digest

    return make


@pytest.fixture
def used(cache):
    """Let another process use a tree."""
    started = []

    def use(digest):
        code = "import sys; from daskbridge.node.install import HostCache\n"
        code += "HostCache(sys.argv[1]).lease(sys.argv[2]); print(flush=True); sys.stdin.read()"
        root = str(Path(cache.home).parent)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", code, root, digest], **pipes)
        started.append(process)
        process.stdout.readline()

    yield use
    for process in started:
        process.communicate(timeout=60)


def run(*options, code=0):
    result = CliRunner().invoke(bundle, ["cache", *options], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def here(cache):
    return {place.name for place in Path(cache.home).iterdir()} - {"locks", "packed", "staging"}


def change(cache, digest):
    file = Path(cache.path(digest, "tree", "a.py"))
    file.chmod(0o644)
    file.write_text("other")
    file.chmod(0o444)


def test_an_empty_cache_says_where_it_is(cache):
    assert run() == f"{cache.home}: 0 trees, 0 B of at most 4096.0 MiB\n"


def test_trees_are_listed_the_last_used_first_and_marked_while_a_process_uses_them(cache, install, used):
    first, second = install("1"), install("22")
    os.utime(cache.path(first, "manifest"), (0, time.time() - 3600))
    used(first)
    lines = run().splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [[second[:12], "1", "2"], [first[:12], "1", "1"]]
    assert [line.endswith("in use") for line in lines[1:3]] == [False, True]
    assert lines[3] == f"{cache.home}: 2 trees, 3 B of at most 4096.0 MiB"


def test_looking_is_no_use(cache, install):
    digest = install("1")
    os.utime(cache.path(digest, "manifest"), (7, 7))
    run("--verify")
    assert os.stat(cache.path(digest, "manifest")).st_mtime == 7  # noqa: PTH116 -- the cache's paths are text


def test_json_has_all_of_it(cache, install, used):
    digest = install("1")
    Path(cache.path(digest, "archive")).write_bytes(b"12345")
    os.utime(cache.path(digest, "manifest"), (0, 86400))
    used(digest)
    assert json.loads(run("--json")) == {
        "directory": cache.home,
        "limit": 4 << 30,
        "bytes": 1,
        "trees": [
            {
                "digest": digest,
                "files": 1,
                "bytes": 1,
                "archive": 5,
                "last_used": "1970-01-02T00:00:00+00:00",
                "in_use": True,
            }
        ],
        "packed": 0,
        "damaged": {},
        "removed": [],
    }


def test_clear_removes_what_nobody_uses_and_says_what_stays(cache, install, used):
    first, second = install("1"), install("22")
    left = Path(cache.staging(first))
    used(second)
    told = run("--clear")
    assert told.endswith(f"removed: 1 trees, 1 B; stays: {second[:12]}, a running process uses it\n")
    assert here(cache) == {second}
    assert not left.exists()


def test_what_is_uploaded_just_now_is_not_cleared(cache, install):
    digest = install("1")
    lease = cache.lease(digest)
    upload = Path(cache.staging(f"{digest}.lease"))
    run("--clear")
    assert upload.exists()
    os.close(lease)
    run("--clear")
    assert not upload.exists()


def test_what_was_packed_here_is_shown_and_cleared(project, cache):
    build_bundle(CodeSpec([project({"a.py": "1"})])).close()
    assert "; packed for the next run: " in run()
    assert json.loads(run("--json"))["packed"] > 0
    run("--clear")
    assert json.loads(run("--json"))["packed"] == 0
    assert [*Path(cache.home, "packed").iterdir()] == []


def test_verify_finds_nothing_in_a_cache_that_is_whole(cache, install):
    install("1")
    assert run("--verify").endswith("verified: 1 trees are what their digests say\n")


DAMAGE = {
    "changed": (change, "5 B, should be 1 of 1 B"),
    "more": (lambda cache, digest: Path(cache.path(digest, "tree", "b.py")).touch(), "2 files of 1 B"),
    "link": (lambda cache, digest: Path(cache.path(digest, "tree", "b")).symlink_to("/"), "2 files of 1 B"),
    "mode": (
        lambda cache, digest: Path(cache.path(digest, "tree", "a.py")).chmod(0o555),
        "files were changed: they are those of another digest",
    ),
    "manifest": (lambda cache, digest: Path(cache.path(digest, "manifest")).unlink(), "it has no manifest"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_verify_removes_a_damaged_tree_and_no_other(cache, install, kind):
    damaged, whole = install("1"), install("22")
    damage, words = DAMAGE[kind]
    damage(cache, damaged)
    told = run("--verify", code=1)
    assert f"damaged: {damaged[:12]}: " in told
    assert words in told
    assert here(cache) == {whole}
    assert run("--verify").endswith("verified: 1 trees are what their digests say\n")


def test_a_damaged_tree_that_is_in_use_stays_and_is_said(cache, install, used):
    digest = install("1")
    change(cache, digest)
    used(digest)
    told = run("--verify", code=1)
    assert told.endswith(f"removed: 0 trees, 0 B; stays: {digest[:12]}, a running process uses it\n")
    assert here(cache) == {digest}


def test_byte_code_that_a_bundle_ships_is_no_damage(cache, project):
    root = project({"a.py": "1", "__pycache__/a.cpython-311.pyc": "x"})
    with build_bundle(CodeSpec([root], include=["/__pycache__/*.pyc"])) as built:
        assert built.files == 2
        installed = cache.install(built.reference, [("test", lambda: [built.archive.read_bytes()])])
    os.close(installed.lease)
    assert "verified: 1 trees" in run("--verify")


def test_a_cache_that_can_not_be_is_an_error_with_advice(tmp_path):
    (tmp_path / "file").touch()
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "file")}):
        with pytest.raises(BundleError, match="can't have a cache") as caught:
            run()
    assert "daskbridge.cache-directory" in caught.value.__notes__[0]
