"""Archives that another tool packed: the same tree is the same bundle, and nothing unsafe gets in."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskbridge.code import CodeSpec, LeftOut, _adopt, adopt_archive, build_bundle, explain_import
from daskbridge.errors import BundleError

LONG = "deep/" * 40 + "caf\u00e9.py"
FILES = {
    "z.py": "Z = 1",
    "pkg/__init__.py": "",
    "pkg/data.csv": "1,2",
    ".env": "A=1",
    LONG: "",
    "run.sh": "#!",
}


def tree(root):
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run.sh").chmod(0o764)
    return root


def packed(*members, compressed=True):
    """Pack (name, content, changes of the header), whatever they are; content None is a directory."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content, *changes in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = (
                len(content or ""),
                tarfile.REGTYPE if content is not None else tarfile.DIRTYPE,
            )
            for key, value in (changes[0] if changes else {}).items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO((content or "").encode()))
    return gzip.compress(raw.getvalue()) if compressed else raw.getvalue()


@pytest.fixture
def adopt(tmp_path):
    (tmp_path / "root").mkdir()

    def adopted(data):
        (tmp_path / "their.tar.gz").write_bytes(data)
        return adopt_archive(tmp_path / "their.tar.gz", root=tmp_path / "root", directory=tmp_path)

    return adopted


@pytest.mark.parametrize(
    ("mode", "form", "name"),
    [
        ("w:gz", tarfile.PAX_FORMAT, "."),
        ("w:gz", tarfile.GNU_FORMAT, "."),
        ("w:", tarfile.PAX_FORMAT, "."),
        ("w:gz", tarfile.PAX_FORMAT, ""),
    ],
    ids=["gzipped", "GNU", "not compressed", "without directories"],
)
def test_the_same_tree_has_the_digest_that_it_has_from_disk(tmp_path, mode, form, name):
    root = tree(tmp_path / "root")
    with tarfile.open(tmp_path / "their", mode, format=form) as tar:
        if name:
            tar.add(root, arcname=name)
        for file in FILES if not name else ():
            tar.add(root / file, arcname=file)
    ours = build_bundle(CodeSpec([root], allow=[".env"]))
    with ours, adopt_archive(tmp_path / "their", root=root) as adopted:
        assert [entry.path for entry in adopted.manifest.entries] == sorted(FILES)
        assert (adopted.digest, adopted.sha256) == (ours.digest, ours.sha256)


def test_nodes_import_from_what_this_process_imports_from_within_the_root(tmp_path, monkeypatch):
    root = tmp_path / "root"
    for place in ("src/jobs", "lib", "unpacked by hand", "site-packages"):
        (root / place).mkdir(parents=True)
    monkeypatch.chdir(root)
    inside = ["lib", "unpacked by hand", "site-packages", "."]
    monkeypatch.setattr(
        sys, "path", [str(tmp_path), *(str(root / name) for name in inside), "src/jobs", "lib"]
    )
    (tmp_path / "their").write_bytes(
        packed(("lib/a.py", ""), ("src/jobs/b.py", ""), ("site-packages/c.py", ""))
    )
    with adopt_archive(tmp_path / "their", root=".") as bundle:
        assert bundle.sys_path == ("lib", "", "src/jobs")
        assert explain_import("a", bundle) is None
        assert explain_import("c", bundle).endswith(
            "nodes do not import from site-packages: add it to sys_path"
        )
        assert explain_import("d", bundle) == (
            f"module 'd' is not on the node, and no such file shipped from {root}:"
            " install it in the nodes' image"
        )


def test_the_top_of_the_tree_comes_last_where_this_process_does_not_import_from_it(adopt, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert adopt(packed(("a.py", ""))).sys_path == ("",)


def test_the_second_of_two_hard_linked_files_ships_too(adopt):
    """As tar keeps them: the content once."""
    twins = packed(("a.py", "123"), ("b.py", "", {"type": tarfile.LNKTYPE, "linkname": "./a.py"}))
    with adopt(twins) as linked, adopt(packed(("a.py", "123"), ("b.py", "123"))) as copied:
        assert linked.digest == copied.digest


def test_only_the_bundle_stays_until_it_is_closed(tmp_path, monkeypatch):
    (tmp_path / "their").write_bytes(packed(("a.py", "1")))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with adopt_archive(tmp_path / "their", root=tmp_path) as bundle:
        assert list((tmp_path / "temporary").iterdir()) == [bundle.archive.parent]
    (tmp_path / "their").write_bytes(packed(("a.py", "1"))[:-9])
    with pytest.raises(BundleError):
        adopt_archive(tmp_path / "their", root=tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


REFUSED = {
    "climbing": ([("../evil.py", "")], r"the name '\.\./evil\.py' is absolute, leaves the tree"),
    "climbing inside": ([("a/../../evil.py", "")], "leaves the tree"),
    "climbing directory": ([("..", None), ("a.py", "")], "leaves the tree"),
    "absolute": ([("/evil.py", "")], "the name '/evil.py' is absolute"),
    "no name": ([(".", "")], "or is none"),
    "symlink": (
        [("a.py", "", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
        "'a.py' is a link to '/etc/p",
    ),
    "hard link": (
        [("b.py", "", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        "'b.py' is a link to '/etc/p",
    ),
    "device": ([("null", "", {"type": tarfile.CHRTYPE})], "'null' is not a regular file"),
    "fifo": ([("pipe", "", {"type": tarfile.FIFOTYPE})], "'pipe' is not a regular file"),
    "repeated": ([("a.py", "1"), ("./a.py", "2")], "holds 'a.py' twice"),
    "repeated after normalisation": (
        [("caf\u00e9.py", "1"), ("cafe\u0301.py", "2")],
        "holds 'caf\u00e9.py' twice",
    ),
    "differs by case": ([("a.py", "1"), ("A.py", "2")], "'A.py' and 'a.py' are one name"),
    "file and directory": ([("a", "1"), ("a/b.py", "2")], "holds 'a' as a file and as a directory"),
    "sparse": ([("a.py", "1", {"pax_headers": {"GNU.sparse.map": "0,1"}})], "'a.py' is not a regular file"),
    "nonsense": (
        [("a.py", "1", {"pax_headers": {"GNU.sparse.map": "x"}})],
        "can't be unpacked: invalid literal",
    ),
    "nothing": ([("a", None)], "holds no file that can ship"),
    "nothing portable": ([("a:b.py", "1")], "holds no file that can ship"),
}


@pytest.mark.parametrize(("members", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_unsafe_is_refused_by_its_name(adopt, members, words):
    with pytest.raises(BundleError, match=words):
        adopt(packed(*members))


@pytest.mark.parametrize(
    "name",
    ["out/run-10:00.csv", "c:/a.py", "a\\..\\b.py", "a\nb.py", "a\udcff.py"],
    ids=["colon", "drive", "backslash", "control character", "not UTF-8"],
)
def test_a_name_that_is_not_possible_on_every_node_stays_behind_with_its_reason(adopt, name):
    with adopt(packed((name, "1"), ("a.py", "1"))) as bundle, adopt(packed(("a.py", "1"))) as alone:
        assert bundle.digest == alone.digest
        assert bundle.selection.left_out == (LeftOut(name, "its name is not possible on every node"),)


def test_a_file_ships_though_its_content_is_kept_under_a_name_that_can_t(adopt):
    linked = {"type": tarfile.LNKTYPE, "linkname": "a:b.py"}
    with adopt(packed(("a:b.py", "123"), ("b.py", "", linked))) as bundle:
        assert [(entry.path, entry.size) for entry in bundle.manifest.entries] == [("b.py", 3)]


@pytest.mark.parametrize(("limit", "most"), [("MAX_FILES", 1), ("MAX_BYTES", 5)], ids=["files", "bytes"])
def test_what_is_too_large_is_refused(adopt, monkeypatch, limit, most):
    monkeypatch.setattr(_adopt, limit, most)
    with pytest.raises(BundleError, match="holds more than .* the most that can ship") as caught:
        adopt(packed(("a.py", "123"), ("b.py", "123")))
    assert caught.value.__notes__
    adopt(packed(("a.py", "12345"), ("folder", None)))


def test_a_small_archive_that_unpacks_to_far_too_much_is_refused_while_it_unpacks(adopt, monkeypatch):
    monkeypatch.setattr(_adopt, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(_adopt, "_OVERHEAD", 0)
    with pytest.raises(BundleError, match="holds more than"):
        adopt(gzip.compress(bytes(64 << 20)))


def test_an_archive_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"fast1\.tar\.gz' can't be unpacked: .*No such file"):
        adopt_archive(tmp_path / "fast1.tar.gz", root=tmp_path)


MEMBERS = (("a.py", "1" * 600), ("pkg/b.py", "2" * 512), ("c.py", ""))
WHOLE = {True: packed(*MEMBERS), False: packed(*MEMBERS, compressed=False)}


@pytest.mark.parametrize("compressed", [True, False], ids=["gzipped", "plain"])
def test_an_archive_that_is_cut_short_anywhere_is_refused(adopt, compressed):
    data = WHOLE[compressed]
    end = len(data) if compressed else data.rindex(b"c.py") + 2 * tarfile.BLOCKSIZE
    for length in range(0, end, 1 if compressed else 128):
        with pytest.raises(BundleError, match="their.tar.gz' "):
            adopt(data[:length])


@given(position=st.integers(0, len(WHOLE[False]) - 1), value=st.integers(0, 255))
def test_a_damaged_byte_gives_an_error_or_another_tree_but_never_less_of_it(
    tmp_path_factory, position, value
):
    data = bytearray(WHOLE[False])
    data[position] = value
    place = tmp_path_factory.mktemp("damaged")
    (place / "their").write_bytes(data)
    try:
        bundle = adopt_archive(place / "their", root=place, directory=place)
    except BundleError:
        return
    assert bundle.files == len(MEMBERS)


@given(st.binary(max_size=2000), st.booleans())
def test_noise_is_refused(tmp_path_factory, data, compressed):
    place = tmp_path_factory.mktemp("noise")
    (place / "their").write_bytes(gzip.compress(data) if compressed else data)
    with pytest.raises(BundleError):
        adopt_archive(place / "their", root=place, directory=place)


LIGHT = """
import sys
from daskbridge.code import adopt_archive
adopt_archive(sys.argv[1], root=".").close()
print({"dask", "distributed", "numpy", "fsspec"} & set(sys.modules) or "none")
"""


def test_packing_anew_loads_nothing_heavy(tmp_path):
    (tmp_path / "their").write_bytes(packed(("a.py", "1")))
    told = subprocess.check_output([sys.executable, "-c", LIGHT, tmp_path / "their"], text=True)
    assert told == "none\n"
