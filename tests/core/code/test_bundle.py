"""The digest, the archive and the limits."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskbridge.code import CodeSpec, Entry, Manifest, Root, _limits, build_bundle, explain_import, publish
from daskbridge.errors import BundleError
from daskbridge.node.compress import Plain


def packed(root, directory, **options):
    return build_bundle(CodeSpec([root], **options), directory=directory)


def test_the_same_tree_has_the_same_digest_and_archive_anywhere(project, tmp_path):
    root = project({"a.py": "1", "pkg/b.py": "2", "pkg/__init__.py": ""})
    (root / "pkg/b.py").chmod(0o700)
    clone = shutil.copytree(root, tmp_path / "another" / "place")
    for number, file in enumerate(sorted(clone.rglob("*.py"))):
        os.utime(file, (number, number))
        file.chmod(0o755 if file.name == "b.py" else 0o600)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = packed(root, tmp_path / "one"), packed(clone, tmp_path / "two")
    assert (first.digest, first.sha256) == (second.digest, second.sha256)


TREES = {
    "reference": {"pkg/mod.py": "hello", "b.py": "world"},
    "a separator moved": {"pkgmod.py": "hello", "b.py": "world"},
    "content swapped": {"pkg/mod.py": "world", "b.py": "hello"},
    "a name inside content": {"pkg/mod.py": "hellob.pyworld"},
    "content across the boundary": {"pkg/mod.py": "hellow", "b.py": "orld"},
    "renamed": {"pkg/mod.py": "hello", "c.py": "world"},
    "one file more": {"pkg/mod.py": "hello", "b.py": "world", "z.py": ""},
    "one file less": {"pkg/mod.py": "hello"},
    "executable": {"pkg/mod.py": "hello", "b.py*": "world"},
}


def test_trees_that_differ_in_anything_have_different_digests(tmp_path):
    digests = {}
    for number, (name, files) in enumerate(TREES.items()):
        root = tmp_path / f"tree-{number}"
        for path, text in files.items():
            file = root / path.rstrip("*")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if path.endswith("*") else 0o644)
        (tmp_path / str(number)).mkdir()
        digests[name] = packed(root, tmp_path / str(number)).digest
    assert len(set(digests.values())) == len(TREES), digests


entries = st.builds(
    Entry,
    st.text(min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 3),
    st.binary(min_size=32, max_size=32),
)


@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.path), st.randoms())
def test_the_order_in_which_files_are_found_does_not_matter(found, random):
    shuffled = random.sample(found, len(found))
    assert Manifest(tuple(found)).digest == Manifest(tuple(shuffled)).digest


@given(*itertools.repeat(st.lists(entries, max_size=3, unique_by=lambda entry: entry.path), 2))
def test_equal_digests_mean_equal_manifests(one, other):
    same = sorted(one) == sorted(other)
    assert (Manifest(tuple(one)).digest == Manifest(tuple(other)).digest) is same


def test_the_archive_opens_anywhere_and_tells_nothing_of_this_machine(project, tmp_path):
    long = "deep/" * 40 + "caf\u00e9.py"
    root = project({"a.py": "1", "run.sh": "2", long: "3"})
    (root / "run.sh").chmod(0o777)
    bundle = packed(root, tmp_path)
    plain = Plain([bundle.archive.read_bytes()]).read(1 << 20)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = archive.getmembers()
        assert {member.name: archive.extractfile(member).read() for member in members} == {
            "a.py": b"1",
            long: b"3",
            "run.sh": b"2",
        }
    assert {member.mode for member in members} == {0o644, 0o755}
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.type) for m in members} == {(0, 0, 0, "", "", b"0")}


LIGHT = """
import sys
from daskbridge.code import CodeSpec, build_bundle
import daskbridge.code.plugin
build_bundle(CodeSpec([sys.argv[1]])).close()
print({"dask", "distributed", "numpy", "fsspec"} & set(sys.modules) or "none")
"""


def test_packing_loads_nothing_heavy(project):
    told = subprocess.check_output([sys.executable, "-c", LIGHT, project({"a.py": ""})], text=True)
    assert told == "none\n"


def test_closing_a_bundle_lets_its_archive_go_but_not_the_callers(project, tmp_path):
    root = project({"a.py": ""})
    with build_bundle(CodeSpec([root])) as ours:
        (root / "a.py").write_text("1")
        build_bundle(CodeSpec([root])).close()
        assert ours.archive.is_file()
    (root / "a.py").write_text("2")
    build_bundle(CodeSpec([root])).close()
    assert not ours.archive.exists()
    with packed(root, tmp_path) as theirs:
        pass
    assert theirs.archive.is_file()


def test_a_reference_stays_small_with_any_number_of_files(project, tmp_path):
    bundle = packed(project({f"module_{number}.py": "" for number in range(200)}), tmp_path)
    assert len(repr(bundle.reference)) < 2048


def test_an_empty_bundle_is_an_error_that_says_why(project, tmp_path):
    root = project({".env": ""})
    with pytest.raises(
        BundleError, match=r"no file ships from the roots .*project; left out: \.env \(secrets: \.env\*\)"
    ):
        packed(root, tmp_path)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("MAX_FILES", r"3 files would ship .* at most 1 can; most are in data/ \(2\)"),
        ("MAX_BYTES", r"largest: data/b\.bin \(5 B\)"),
    ],
)
def test_a_bundle_that_is_too_large_names_what_makes_it_so(project, tmp_path, monkeypatch, limit, words):
    monkeypatch.setattr(_limits, limit, 1)
    with pytest.raises(BundleError, match=words) as caught:
        packed(project({"a.py": "1", "data/b.bin": "12345", "data/c.bin": "12"}), tmp_path)
    assert "daskbridgeignore" in caught.value.__notes__[0]


def test_a_file_that_can_not_be_read_is_an_error_and_leaves_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = project({"a.py": "", "folder/b.py": ""})
    with pytest.raises(BundleError, match=r"folder' can't be read: Is a directory"):
        build_bundle(CodeSpec([root], modules={"odd": root / "folder"}))
    assert not list(tmp_path.glob("daskbridge-bundle-*"))


SHORTER = Path("/sys/devices/system/cpu/online")


@pytest.mark.skipif(not SHORTER.exists(), reason="needs Linux's sysfs, whose files are shorter than they say")
def test_a_file_that_shrinks_while_it_is_packed_is_an_error(tmp_path):
    with pytest.raises(BundleError, match="online' shrank while it was packed"):
        build_bundle(CodeSpec([], modules={"odd": SHORTER}), directory=tmp_path)


def test_a_bundle_is_published_once_and_whole(project, tmp_path):
    bundle = packed(project({"a.py": ""}), tmp_path)
    store = tmp_path / "store"
    published = publish(bundle, f"file://{store}/runs/")
    assert published.url == f"file://{store}/runs/{bundle.digest}.{bundle.format}"
    target = store / "runs" / f"{bundle.digest}.{bundle.format}"
    assert target.read_bytes() == bundle.archive.read_bytes()
    before = target.stat().st_mtime_ns
    publish(bundle, f"file://{store}/runs")
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert target.stat().st_mtime_ns == before


def test_a_store_that_refuses_does_not_give_its_credentials_away(project, tmp_path):
    bundle = packed(project({"a.py": ""}), tmp_path)
    with pytest.raises(BundleError) as caught:
        publish(bundle, "nonsense://user:hunter2@host/bucket")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert "hunter2" not in repr(publish(bundle, f"file://{tmp_path}/hunter2"))


def test_a_missing_module_is_explained_in_words(project, tmp_path):
    root = project({"src/here.py": "", ".gitignore": "gen/\n", "src/gen/made.py": "", "lib/far.py": ""})
    bundle = build_bundle(CodeSpec([Root(root, ["src"])]), directory=tmp_path)
    assert explain_import("here", bundle) is None
    assert explain_import("gen.made", bundle).endswith(
        "did not ship: src/gen/ is left out by .gitignore:1 gen/"
    )
    assert "do not import from lib" in explain_import("far", bundle)
    assert explain_import("pandas", bundle).endswith(
        f"no such file shipped from {root}: install it in the nodes' image"
    )
