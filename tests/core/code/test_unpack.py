"""Archives that are not exactly what was announced are refused before anything is visible."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from tests.archives import FORMATS, compress, in_pieces, reference, tar

from daskbridge.node.install import HostCache
from daskbridge.node.unpack import unpack

GOOD = {"a.py": b"1", "b/c.py": b"22"}
PLAIN = tar(*GOOD.items())
pytestmark = pytest.mark.parametrize("kind", FORMATS)


@pytest.mark.parametrize("size", [1, 7, 512, 1 << 20])
def test_a_good_archive_unpacks_whatever_the_pieces_it_comes_in(tmp_path, kind, size):
    unpack(in_pieces(compress(PLAIN, kind), size), str(tmp_path / "tree"), reference(GOOD, format=kind))
    found = {str(file.relative_to(tmp_path / "tree")): file for file in (tmp_path / "tree").rglob("*.py")}
    assert {name: file.read_bytes() for name, file in found.items()} == GOOD
    assert {file.stat().st_mode & 0o777 for file in found.values()} == {0o444}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o6755, 0o7100, 0o644, 0o600, 0o000, 0o4644], ids=oct)
def test_only_the_executable_bit_of_a_mode_survives(tmp_path, kind, umask, mode):
    members, run = tar(("run", b"", {"mode": mode})), frozenset({"run"} if mode & 0o100 else ())
    before = os.umask(umask)
    try:
        unpack(
            [compress(members, kind)],
            str(tmp_path / "tree"),
            reference({"run": b""}, executable=run, format=kind),
        )
    finally:
        os.umask(before)
    assert (tmp_path / "tree/run").stat().st_mode & 0o7777 == (0o555 if run else 0o444) & ~umask


NAMES = {
    "climbing": "../../../evil.py",
    "climbing inside": "a/../../evil.py",
    "climbing at the end": "a/..",
    "absolute": "/evil.py",
    "drive": "c:/evil.py",
    "drive below": "a/c:evil.py",
    "share": "\\\\host\\share",
    "backslash": "a\\..\\evil.py",
    "dot": "./a.py",
    "only a dot": ".",
    "empty part": "a//b.py",
    "empty": "",
    "a slash at the end": "a.py/",
    "NUL": "a.py\0b",
    "control character": "a\nb.py",
    "escape": "a\x1b[2Jb.py",
    "right to left": "a\u202eyp.b",
}


def refused(tmp_path, kind, data, files, words="", **changes):
    """See an install refuse ``data``, and nothing of it anywhere: in the cache, or beside it."""
    cache = HostCache(str(tmp_path / "cache"))
    with pytest.raises(RuntimeError, match=f"BundleRejected: .*{words}"):
        cache.install(reference(files, format=kind, **changes), [("test", lambda: in_pieces(data, 1 << 16))])
    visible = [path for path in tmp_path.rglob("*") if not path.is_dir() and path.parent.name != "locks"]
    assert visible == []
    assert {path.name for path in Path(cache.home).iterdir()} == {"locks", "staging"}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_a_name_that_leaves_the_tree_is_refused_though_the_digest_is_right(tmp_path, kind, name):
    data = compress(tar((name, b"x", {"pax_headers": {"path": name}} if "\0" in name else {})), kind)
    refused(tmp_path, kind, data, {name: b"x"}, "is absolute, leaves the tree or is unsafe")


KINDS = {
    "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
    "character device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "block device": {"type": tarfile.BLKTYPE},
    "fifo": {"type": tarfile.FIFOTYPE},
    "sparse": {"type": tarfile.GNUTYPE_SPARSE},
    "contiguous": {"type": tarfile.CONTTYPE},
    "directory": {"type": tarfile.DIRTYPE},
    "old regular file": {"type": tarfile.AREGTYPE},
    "global header": {"type": tarfile.XGLTYPE},
    "long name of GNU": {"type": tarfile.GNUTYPE_LONGNAME},
    "unknown": {"type": b"Z"},
}


@pytest.mark.parametrize("header", KINDS.values(), ids=list(KINDS))
def test_anything_but_a_regular_file_is_refused_though_the_digest_is_right(tmp_path, kind, header):
    data = compress(tar(("a.py", b"", header)), kind)
    refused(tmp_path, kind, data, {"a.py": b""}, "is not a regular file")


ONE_NAME = {
    "case": ("Job.py", "job.py"),
    "case of a directory": ("A/job.py", "a/job.py"),
    "case that folds to two letters": ("stra\u00dfe.py", "strasse.py"),
    "composed": ("cafe\u0301.py", "caf\u00e9.py"),
}


@pytest.mark.parametrize("names", ONE_NAME.values(), ids=list(ONE_NAME))
def test_names_that_are_one_elsewhere_are_refused_though_the_digest_is_right(tmp_path, kind, names):
    files = dict.fromkeys(sorted(names), b"x")
    refused(tmp_path, kind, compress(tar(*files.items()), kind), files, "differs from another name only by")


EVIL = {
    "other pax header": tar(("a.py", b"1", {"pax_headers": {"mtime": "1"}}), ("b/c.py", b"22")),
    "huge pax header": tar(("a" * 100_000, b"1")),
    "name not in UTF-8": tar(("a\udcff.py", b"1"), ("b/c.py", b"22")),
    "duplicate": tar(("a.py", b"1"), ("a.py", b"1")),
    "out of order": tar(("b/c.py", b"22"), ("a.py", b"1")),
    "file as directory": tar(("a", b"1"), ("a/b", b"22")),
    "more files": tar(*GOOD.items(), ("d.py", b"")),
    "more bytes": tar(("a.py", b"1"), ("b/c.py", b"2222")),
    "other content": tar(("a.py", b"1"), ("b/c.py", b"33")),
    "other name": tar(("a.py", b"1"), ("b/d.py", b"22")),
    "executable": tar(("a.py", b"1", {"mode": 0o755}), ("b/c.py", b"22")),
    "one file less": tar(("a.py", b"1")),
    "another bundle": tar(("a.py", b"2"), ("b/c.py", b"11")),
    "no file": bytes(1024),
    "not tar": b"x" * 2048,
    "cut in a header": PLAIN[:300],
    "cut in a file": PLAIN[:1536],
    "without its end": PLAIN[: 4 * 512],
    "appended": PLAIN + b"more",
    "appended after zeros": PLAIN + bytes(3 << 20) + b"more",
}
WORDS = {
    "duplicate": "repeated or out of order",
    "out of order": "repeated or out of order",
    "more files": "more than the announced 2 files",
    "more bytes": "more than the announced 2 files or 3 bytes",
    "cut in a header": "damaged",
    "another bundle": "holds the tree .* expected",
    "appended after zeros": "data after the end",
}


@pytest.mark.parametrize("name", EVIL)
def test_an_archive_that_is_not_what_was_announced_is_refused(tmp_path, kind, name):
    refused(tmp_path, kind, compress(EVIL[name], kind), GOOD, WORDS.get(name, ""))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"PK\x03\x04" + bytes(600),
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"more",
        lambda data: data + data,
        lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:],
    ],
    ids=["nothing", "zip", "half", "one byte less", "appended", "twice", "flipped"],
)
def test_damaged_compression_is_refused(tmp_path, kind, damage):
    refused(tmp_path, kind, damage(compress(PLAIN, kind)), GOOD)


def test_the_archive_itself_says_how_it_was_compressed(tmp_path, kind):
    unpack([compress(PLAIN, kind)], str(tmp_path / "tree"), reference(GOOD, format="tar.other"))
