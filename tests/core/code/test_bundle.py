"""The archive, the store and the limits."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from daskbridge.code import CodeSpec, Root, _limits, build_bundle, explain_import, publish
from daskbridge.errors import BundleError
from daskbridge.node.compress import Plain


def packed(root, directory, **options):
    return build_bundle(CodeSpec([root], **options), directory=directory)


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
