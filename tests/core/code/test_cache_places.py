"""Where the host cache lies: in the first place that this user, and no other, can write to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest
from tests.archives import from_file

from daskbridge.node.install import open_cache


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


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077], ids=oct)
def test_the_cache_is_private_whatever_the_umask(bundle, tmp_path, monkeypatch, umask):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "user"))
    before = os.umask(umask)
    try:
        cache = open_cache()
        installed = cache.install(bundle.reference, from_file(bundle))
    finally:
        os.umask(before)
    assert Path(cache.home) == tmp_path / "new/user/daskbridge/v1"
    assert {place.stat().st_mode & 0o777 for place in (*Path(cache.home).parents[:3],)} == {0o700}
    modes = {file.stat().st_mode & 0o777 for file in Path(installed.tree).rglob("*.py")}
    assert modes == {0o444 & ~umask}
    os.close(installed.lease)


#: Runs a program where a small file system is mounted that goes away with it.
MOUNT = """
mount -t tmpfs -o size=256k tmpfs "$0" && mkdir "$0/daskbridge" && mount -o "remount,$1" "$0" || exit
exec "$2" -c "$3" "$0" "$4"
"""
OPEN = """
import sys
from daskbridge.node.install import open_cache
print(open_cache(sys.argv[2]).home)
"""
FILL = """
import json, os, pathlib, sys
from daskbridge.node.install import HostCache
reference, archive = json.loads(sys.argv[2])
cache = HostCache(sys.argv[1] + "/daskbridge")
try:
    cache.install(reference, [("test", lambda: [pathlib.Path(archive).read_bytes()])])
except RuntimeError as error:
    print(error)
print([name for name in os.listdir(cache.home) if name not in ("locks", "staging")])
print(os.listdir(cache.home + "/staging"))
"""


def mounted(place, options, program, told):
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace")
    place.mkdir()
    command = [unshare, "-rm", "sh", "-c", MOUNT, str(place), options, sys.executable, program, told]
    environ = os.environ | {"XDG_CACHE_HOME": str(place)}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_place_that_is_read_only_is_passed_over(tmp_path):
    scratch = tmp_path / "scratch"
    assert mounted(tmp_path / "user", "ro", OPEN, str(scratch)) == [f"{scratch}/.daskbridge/v1"]


def test_on_a_full_disk_nothing_is_visible_and_the_error_says_where(bundle_of_random_bytes, tmp_path):
    bundle = bundle_of_random_bytes
    told = json.dumps([bundle.reference, str(bundle.archive)])
    error, *left = mounted(tmp_path / "user", "rw", FILL, told)
    assert (
        f"can't be installed in {tmp_path}/user/daskbridge/v1: test: OSError: [Errno 28] No space left"
        in error
    )
    assert left == ["[]", "[]"]


LIMITED = """
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


def test_where_files_may_not_grow_nothing_is_visible(bundle_of_random_bytes, tmp_path):
    bundle = bundle_of_random_bytes
    (tmp_path / "cache").mkdir()
    told = [str(tmp_path / "cache"), json.dumps([bundle.reference, str(bundle.archive)])]
    out = subprocess.check_output([sys.executable, "-c", LIMITED + FILL, *told], text=True)
    error, *left = out.splitlines()
    assert "File too large" in error
    assert left == ["[]", "[]"]
