"""Small archives that would become huge are refused early, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib

import pytest
from tests.archives import FORMATS, compress, header, reference, tar, zstd

from daskbridge.node.unpack import BundleRejected, unpack

pytestmark = pytest.mark.parametrize("kind", FORMATS)
GIB = 1 << 30
FILES = {"a.py": b"1"}


def inflated(start: bytes, size: int, kind: str, end: bytes = b"") -> bytes:
    """Compress ``start`` and ``size`` zeros without having them all."""
    zeros = bytes(1 << 20)
    if kind == "tar.gz":
        compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        made = compressor.compress(start) + compressor.flush(zlib.Z_FULL_FLUSH)
        block = compressor.compress(zeros) + compressor.flush(zlib.Z_FULL_FLUSH)
        return made + block * (size >> 20)  # the check at its end is missing; a bomb has exploded by then
    compressor = zstd().ZstdCompressor(level=1)
    made = [compressor.compress(start), *(compressor.compress(zeros) for _ in range(size >> 20))]
    return b"".join([*made, compressor.compress(end), compressor.flush()])


UNPACK = """
import json, pathlib, resource, sys
from daskbridge.node.unpack import unpack, BundleRejected
data, told, target = pathlib.Path(sys.argv[1]).read_bytes(), json.loads(sys.argv[2]), sys.argv[3]
pieces = [data[at:at + (1 << 20)] for at in range(0, len(data), 1 << 20)]
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    unpack(pieces, target, told)
    print("taken")
except BundleRejected as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss) / 1024)
print(sum(file.stat().st_size for file in pathlib.Path(target).rglob("*") if file.is_file()))
"""


def exploded(tmp_path, data, told):
    """Unpack in a process of its own; return what it said, MiB of memory, bytes on disk."""
    (tmp_path / "bomb").write_bytes(data)
    command = [sys.executable, "-c", UNPACK, tmp_path / "bomb", json.dumps(told), tmp_path / "tree"]
    said, memory, written = subprocess.check_output(command, text=True, timeout=60).splitlines()
    return said, float(memory), int(written)


BOMBS = {
    "a file of a GiB": (header("a.py", GIB), "more than the announced 1 files or 1 bytes"),
    "a path of a GiB": (header("a.py", GIB, type=b"x"), ""),
}


@pytest.mark.parametrize(("start", "words"), BOMBS.values(), ids=list(BOMBS))
def test_a_gib_in_a_few_bytes_is_refused_in_little_memory(tmp_path, kind, start, words):
    data = inflated(start, GIB, kind)
    assert len(data) < 6 << 20
    said, memory, written = exploded(tmp_path, data, reference(FILES, format=kind))
    assert words in said
    assert said != "taken"
    assert memory < 48
    assert written <= 1


def test_more_files_than_announced_end_at_the_first_one_too_many(tmp_path, kind):
    members = [(f"{number:05}.py", b"") for number in range(5000)]
    data = compress(tar(*members), kind)
    with pytest.raises(BundleRejected, match="more than the announced 3 files"):
        unpack([data], str(tmp_path / "tree"), reference(dict(members[:3]), format=kind))
    assert len(list((tmp_path / "tree").iterdir())) == 3


def test_sizes_that_only_together_are_too_many_are_refused(tmp_path, kind):
    told = reference({"a": b"12", "b": b"12"}, format=kind, bytes=3)
    with pytest.raises(BundleRejected, match="more than the announced 2 files or 3 bytes"):
        unpack([compress(tar(("a", b"12"), ("b", b"12")), kind)], str(tmp_path / "tree"), told)


def test_a_window_that_would_take_much_memory_is_refused(tmp_path, kind):
    if kind == "tar.gz":
        return
    compressor = zstd().ZstdCompressor(options={zstd().CompressionParameter.window_log: 27})
    data = compressor.compress(tar(*FILES.items())) + compressor.flush()
    with pytest.raises(BundleRejected, match="damaged"):
        unpack([data], str(tmp_path / "tree"), reference(FILES, format=kind))


ENDLESS = {"after the end": tar(*FILES.items()), "instead of a header": b""}


@pytest.mark.parametrize("start", ENDLESS.values(), ids=list(ENDLESS))
def test_zeros_without_end_are_not_read_to_their_end(tmp_path, kind, start):
    """Tar fills its last record with zeros, 10 KiB at most; a GiB of them is a few KB of zstd."""
    data = inflated(start, GIB, kind)
    said, memory, _ = exploded(tmp_path, data, reference(FILES, format=kind))
    assert said != "taken"
    assert memory < 48
