"""Archives that are not exactly what was announced are refused before anything is visible."""

from __future__ import annotations

import gzip
import io
import tarfile
from hashlib import sha256

import pytest

from daskbridge.code import Entry, Manifest
from daskbridge.node.install import HostCache
from daskbridge.node.unpack import BundleRejected, unpack


def reference(files, **changes):
    entries = [
        Entry(name, executable=False, size=len(data), sha256=sha256(data).digest())
        for name, data in files.items()
    ]
    told = {
        "digest": Manifest(tuple(entries)).digest,
        "format": "tar.gz",
        "size": 0,
        "files": len(entries),
        "bytes": sum(map(len, files.values())),
        "sys_path": [""],
        "url": None,
    }
    return told | changes


def archive(*members):
    """Pack (name, data, changes of the header) into a tar.gz, whatever they are."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, data, *changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in (changes[0] if changes else {}).items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


GOOD = {"a.py": b"1", "b/c.py": b"22"}
BYTES = archive(*GOOD.items())


def in_pieces(data, size=7):
    return (data[start : start + size] for start in range(0, len(data), size))


def test_a_good_archive_unpacks_whatever_the_pieces_it_comes_in(tmp_path):
    unpack(in_pieces(BYTES), str(tmp_path / "tree"), reference(GOOD))
    found = {str(file.relative_to(tmp_path / "tree")): file for file in (tmp_path / "tree").rglob("*.py")}
    assert {name: file.read_bytes() for name, file in found.items()} == GOOD
    assert {file.stat().st_mode & 0o777 for file in found.values()} == {0o444}


NAMES = {
    "climbing": "../../../evil.py",
    "climbing inside": "a/../../evil.py",
    "absolute": "/evil.py",
    "drive": "c:/evil.py",
    "backslash": "a\\..\\evil.py",
    "dot": "./a.py",
    "empty part": "a//b.py",
    "empty": "",
    "NUL": "a.py\0b",
    "control character": "a\nb.py",
}
KINDS = {
    "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
    "device": {"type": tarfile.CHRTYPE},
    "fifo": {"type": tarfile.FIFOTYPE},
    "sparse": {"type": tarfile.GNUTYPE_SPARSE},
    "contiguous": {"type": tarfile.CONTTYPE},
}
EVIL = {
    "directory": archive(("a", b"", {"type": tarfile.DIRTYPE}), *GOOD.items()),
    "other pax header": archive(("a.py", b"1", {"pax_headers": {"mtime": "1"}}), ("b/c.py", b"22")),
    "huge pax header": archive(("a" * 100_000, b"1")),
    "duplicate": archive(("a.py", b"1"), ("a.py", b"1")),
    "out of order": archive(("b/c.py", b"22"), ("a.py", b"1")),
    "file as directory": archive(("a", b"1"), ("a/b", b"22")),
    "more files": archive(*GOOD.items(), ("d.py", b"")),
    "more bytes": archive(("a.py", b"1"), ("b/c.py", b"2222")),
    "bomb": archive(("a.py", bytes(50 << 20))),
    "other content": archive(("a.py", b"1"), ("b/c.py", b"33")),
    "other name": archive(("a.py", b"1"), ("b/d.py", b"22")),
    "executable": archive(("a.py", b"1", {"mode": 0o755}), ("b/c.py", b"22")),
    "one file less": archive(("a.py", b"1")),
    "nothing": b"",
    "not gzip": b"PK\x03\x04" + bytes(600),
    "not tar": gzip.compress(b"x" * 2048),
    "cut": BYTES[: len(BYTES) // 2],
    "without its end": BYTES[:-4],
    "tar cut": gzip.compress(gzip.decompress(BYTES)[:700]),
    "flipped": BYTES[:40] + bytes([BYTES[40] ^ 255]) + BYTES[41:],
    "appended": gzip.compress(gzip.decompress(BYTES) + b"more"),
    "another member": BYTES + gzip.compress(b"more"),
}


def refused(tmp_path, data, files, words):
    cache = HostCache(str(tmp_path / "cache"))
    with pytest.raises(RuntimeError, match=f"BundleRejected: .*{words}"):
        cache.install(reference(files), [("test", lambda: in_pieces(data, 1 << 16))])
    visible = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "locks"]
    assert visible == []


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_a_name_that_leaves_the_tree_is_refused_though_the_digest_is_right(tmp_path, name):
    member = (name, b"x", {"pax_headers": {"path": name}} if "\0" in name else {})
    refused(tmp_path, archive(member), {name: b"x"}, "is absolute, leaves the tree or is unsafe")


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_anything_but_a_regular_file_is_refused_though_the_digest_is_right(tmp_path, kind):
    refused(tmp_path, archive(("a.py", b"", kind)), {"a.py": b""}, "is not a regular file")


WORDS = {
    "duplicate": "repeated or out of order",
    "out of order": "repeated or out of order",
    "more files": "more than the announced 2 files",
    "more bytes": "more than the announced 2 files or 3 bytes",
    "bomb": "more than the announced 2 files or 3 bytes",
    "cut": "damaged",
}


@pytest.mark.parametrize("name", EVIL)
def test_an_archive_that_is_not_what_was_announced_is_refused(tmp_path, name):
    refused(tmp_path, EVIL[name], GOOD, WORDS.get(name, ""))


def test_what_is_no_archive_of_ours_is_refused_in_words(tmp_path):
    with pytest.raises(BundleRejected, match=r"the archive is damaged: .*incorrect header check"):
        unpack([b"PK\3\4" + bytes(100)], str(tmp_path / "tree"), reference(GOOD))
