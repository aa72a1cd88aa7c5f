"""What was packed is not packed again: unless a file was written to, in whatever way."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from daskbridge.code import CodeSpec, _archive, _shelf, build_bundle
from daskbridge.errors import BundleError
from daskbridge.node.compress import FORMATS


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/daskbridge/v1/packed"


@pytest.fixture
def packed(monkeypatch):
    """Count the files that are read."""
    read = []
    add = _archive._Writing.add
    monkeypatch.setattr(
        _archive._Writing, "add", lambda self, file: read.append(file.path) or add(self, file)
    )
    return read


@pytest.fixture
def settled(monkeypatch):
    """Let the files of a test have been written long enough ago."""
    monkeypatch.setattr(_shelf, "_TICK", -3600 * 10**9)


@pytest.fixture
def root(project):
    return project({"job.py": "1", "pkg/__init__.py": "", "pkg/part.py": "2"})


def build(root, **options):
    with build_bundle(CodeSpec([root], **options)) as bundle:
        return bundle, bundle.archive.read_bytes()


def test_what_has_not_changed_is_read_once_and_is_the_same_bundle(root, packed, settled):
    first, archive = build(root)
    del packed[:]
    again, same = build(root)
    assert packed == []
    assert (again.reference, again.sha256, same) == (first.reference, first.sha256, archive)
    assert again.manifest.entries == first.manifest.entries


def rewrite(root):
    (root / "job.py").write_text("3")


def rewrite_in_the_same_second(root):
    before = (root / "job.py").stat()
    (root / "job.py").write_text("3")
    os.utime(root / "job.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(root):
    before = (root / "job.py").stat()
    (root / "new").write_text("3")
    os.utime(root / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (root / "new").rename(root / "job.py")


CHANGES = {
    "rewritten": rewrite,
    "rewritten with its old time": rewrite_in_the_same_second,
    "replaced with its old time": replace,
    "swapped": lambda root: (root / "pkg/part.py").replace(root / "job.py"),
    "removed": lambda root: (root / "job.py").unlink(),
    "added": lambda root: (root / "more.py").write_text("3"),
    "moved": lambda root: (root / "job.py").rename(root / "pkg/job.py"),
    "executable": lambda root: (root / "job.py").chmod(0o755),
    "ignored": lambda root: (root / ".gitignore").write_text("job.py\n.gitignore"),
    "allowed": lambda root: (root / ".env").rename(root / "env"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_noticed(root, settled, tmp_path, change):
    (root / ".env").write_text("token")
    before, _ = build(root)
    change(root)
    after, _ = build(root)
    fresh = build_bundle(CodeSpec([root]), directory=tmp_path)
    assert after.digest == fresh.digest != before.digest
    assert after.manifest.entries == fresh.manifest.entries


def test_a_file_that_was_written_a_moment_ago_is_read_again(root, packed):
    build(root)
    del packed[:]
    build(root)
    assert len(packed) == 3


def test_each_root_has_a_place_and_only_its_last_archive_stays(root, project, settled, shelf):
    other = project({"../other/a.py": ""}).parent / "other"
    build(other)
    for number in range(3):
        (root / "job.py").write_text(str(number))
        build(root)
    assert len([*shelf.glob("*.json")]) == len([*shelf.glob("*.tar.*")]) == 2


def test_an_archive_in_use_outlives_the_next_one(root, settled, shelf):
    with build_bundle(CodeSpec([root])) as used:
        (root / "job.py").write_text("3")
        build(root)
        assert used.archive.exists()
    (root / "job.py").write_text("4")
    build(root)
    assert not used.archive.exists()
    assert len([*shelf.glob("*.tar.*")]) == 1


def test_the_least_recently_used_archives_go_first(tmp_path, project, settled, shelf, monkeypatch):
    roots = [project({f"../{name}/a.py": name}).parent / name for name in "abc"]
    for age, each in enumerate(roots[:2]):
        build(each)
        newest = max(shelf.glob("*.json"), key=os.path.getmtime)
        os.utime(newest, (1000 - age, 1000 - age))
    size = sum(file.stat().st_size for file in shelf.glob("*.tar.*"))
    monkeypatch.setattr(_shelf, "LIMIT", size)
    build(roots[0])  # used again
    bundle, _ = build(roots[2])
    assert {bundle.archive, build(roots[0])[0].archive} == {*shelf.glob("*.tar.*")}


def damage(record, **changes):
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))


DAMAGES = {
    "record cut": lambda shelf: next(shelf.glob("*.json")).write_text("{"),
    "record of another kind": lambda shelf: next(shelf.glob("*.json")).write_text("[]"),
    "record without all": lambda shelf: next(shelf.glob("*.json")).write_text("{}"),
    "format unknown": lambda shelf: damage(next(shelf.glob("*.json")), form="tar.xz"),
    "archive gone": lambda shelf: next(shelf.glob("*.tar.*")).unlink(),
    "archive cut": lambda shelf: os.truncate(next(shelf.glob("*.tar.*")), 10),
    "archive written to": lambda shelf: next(shelf.glob("*.tar.*")).write_bytes(b"x" * 100),
    "all gone": lambda shelf: [file.unlink() for file in shelf.iterdir()],
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shelf_is_filled_anew(root, settled, shelf, harm):
    first, archive = build(root)
    harm(shelf)
    again, same = build(root)
    assert (again.digest, same) == (first.digest, archive)


def test_where_no_cache_can_be_the_bundle_is_packed_elsewhere(root, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(_shelf, "cache_places", lambda _: [str(tmp_path / "file")])
    with build_bundle(CodeSpec([root])) as bundle:
        assert bundle.archive.exists()
    assert not bundle.archive.parent.exists()


def test_a_file_that_cannot_be_packed_leaves_nothing_on_the_shelf(root, shelf, monkeypatch):
    monkeypatch.setattr(_archive.os, "read", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    with pytest.raises(BundleError, match="can't be read: broken"):
        build_bundle(CodeSpec([root]))
    assert [*shelf.iterdir()] == []


KILLED = """
import os, signal, sys
from daskbridge.code import CodeSpec, build_bundle, _archive
close = _archive._Writing.close
_archive._Writing.close = lambda self: os.kill(os.getpid(), signal.SIGKILL)
build_bundle(CodeSpec([sys.argv[1]]))
"""


def test_what_a_killed_build_left_is_removed_by_the_next(root, settled, shelf):
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert done.returncode == -9
    assert len([*shelf.glob("*.part")]) == 1
    build(root)
    assert {file.suffix for file in shelf.iterdir()} == {".json", f".{FORMATS[0].rpartition('.')[2]}"}


def test_the_shelf_is_private(root, shelf):
    build(root)
    assert {place.stat().st_mode & 0o777 for place in (shelf, shelf.parent)} == {0o700}
    assert {file.stat().st_mode & 0o077 for file in shelf.glob("*.tar.*")} == {0}
