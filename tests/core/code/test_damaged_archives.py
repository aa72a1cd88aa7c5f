"""Whatever happens to an archive, the outcome is a refusal or exactly the announced tree."""

from __future__ import annotations

import errno
import os
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.archives import FORMATS, compress, decompress, in_pieces, reference, tar

from daskbridge.node.unpack import BundleRejected, unpack

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- a directory of its own in there
RUN = frozenset({"bin/run"})
FILES = {
    "a.py": b"import b\n" * 20,
    "bin/run": sha256(b"1").digest() * 8,
    "caf\u00e9/" + "long/" * 30 + "b.py": sha256(b"2").digest() * 20,
    "empty.py": b"",
}
PLAIN = tar(*((name, data, {"mode": 0o755 if name in RUN else 0o644}) for name, data in FILES.items()))
OTHERS = tar(*((name, data[::-1], {"mode": 0o755 if name in RUN else 0o644}) for name, data in FILES.items()))
pytestmark = pytest.mark.parametrize("kind", FORMATS)


def taken(data, told, files=FILES, run=RUN):
    """Unpack, and return whether it was taken; anything but the announced tree or a refusal fails."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        target = Path(place, "staging", "tree")
        target.parent.mkdir()
        try:
            unpack(in_pieces(data, 4096), str(target), told)
        except (BundleRejected, OSError) as error:  # a name may be too long for the file system
            if isinstance(error, OSError):
                assert error.errno == errno.ENAMETOOLONG  # noqa: PT017 -- any may come, or none
            whole = False
        else:
            found = {str(file.relative_to(target)): file for file in target.rglob("*") if not file.is_dir()}
            assert {name: file.read_bytes() for name, file in found.items()} == files
            assert {name for name, file in found.items() if file.stat().st_mode & 0o100} == run
            assert not any(file.is_symlink() for file in found.values())
            whole = True
        assert {path.name for path in Path(place).iterdir()} == {"staging"}
        assert {path.name for path in target.parent.iterdir()} <= {"tree"}
    return whole


def announced(kind):
    return reference(FILES, executable=RUN, format=kind)


def test_the_undamaged_one_is_taken(kind):
    assert taken(compress(PLAIN, kind), announced(kind))


def test_one_that_is_cut_short_anywhere_is_refused(kind):
    data, told = compress(PLAIN, kind), announced(kind)
    assert not any(taken(data[:length], told) for length in range(0, len(data), 37))
    end = len(PLAIN.rstrip(b"\0"))  # what comes after it is filling
    plain = [taken(compress(PLAIN[:length], kind), told) for length in range(0, end, 37 * 3)]
    assert not any(plain)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF], ids=hex)
def test_one_with_a_changed_byte_is_refused_or_means_the_same(kind, flip):
    data, told = compress(PLAIN, kind), announced(kind)
    for changed in (damaged(data, at, flip) for at in range(0, len(data), 3)):
        if taken(changed, told):  # a time stamp, or zeros that are copied from other zeros
            assert decompress(changed, kind) == PLAIN
    outcomes = [taken(compress(damaged(PLAIN, at, flip), kind), told) for at in range(0, len(PLAIN), 41)]
    assert False in outcomes


def damaged(data, at, flip):
    return data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]


def test_another_bundles_bytes_are_refused_though_every_name_and_size_is_right(kind):
    assert not taken(compress(OTHERS, kind), announced(kind))


def test_halves_of_two_bundles_are_refused(kind):
    blocks = range(512, len(PLAIN), 512)
    mixed = {PLAIN[:at] + OTHERS[at:] for at in blocks} - {PLAIN}
    assert not any(taken(compress(data, kind), announced(kind)) for data in mixed)


mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "twice", "zeros", "number"]),
        st.integers(0, len(PLAIN) - 1),
        st.integers(1, 1024),
    ),
    min_size=1,
    max_size=4,
)


@given(mutations, st.booleans())
def test_mutations_are_refused_or_mean_the_same(kind, changes, inside):
    data = PLAIN if inside else compress(PLAIN, kind)
    for how, place, length in changes:
        at = place % max(1, len(data))
        if how == "flip" and data:
            data = damaged(data, at, length % 255 + 1)
        elif how == "cut":
            data = data[:at] + data[at + length :]
        elif how == "twice":
            data = data[:at] + data[at : at + length] * 2 + data[at + length :]
        elif how == "zeros":
            data = data[:at] + bytes(length) + data[at:]
        else:  # a number where tar has its numbers
            at += [100, 124, 148, 156, 257, 345][length % 6] - at % 512
            data = data[:at] + b"%07o\0" % (length << 18) + data[at + 8 :]
    taken(compress(data, kind) if inside else data, announced(kind))


parts = st.sampled_from(
    ["a", "A", "b.py", "..", ".", "", "c:", "\\", "caf\u00e9", "cafe\u0301", "x" * 120, "n" * 300]
)
names = st.one_of(st.lists(parts, min_size=1, max_size=5).map("/".join), st.text(max_size=5))
types = st.sampled_from(
    [tarfile.REGTYPE] * 8 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
headers = st.fixed_dictionaries(
    {
        "type": types,
        "mode": st.sampled_from([0o644, 0o755, 0o6777, 0]),
        "linkname": st.sampled_from(["", "/etc/passwd", "a"]),
    }
)


@given(st.lists(st.tuples(names, st.binary(max_size=3), headers), max_size=4), st.booleans())
def test_any_list_of_members_is_refused_or_is_the_announced_tree(kind, members, ordered):
    if ordered:
        members = sorted(members, key=lambda member: member[0].encode("utf-8", "surrogatepass"))
    try:
        files = {name: data for name, data, _ in members}
        run = frozenset(name for name, _, header in members if header["mode"] & 0o100)
        told = reference(files, executable=run, format=kind)
        data = compress(tar(*members), kind)
    except (UnicodeEncodeError, ValueError):  # tarfile can't write it
        return
    taken(data, told, files, run)
