"""`daskbridge bundle diff` says why the code here is other code than that there."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import dask.config
import pytest
from click.testing import CliRunner

from daskbridge.cli._bundle import bundle
from daskbridge.code import CodeSpec, build_bundle
from daskbridge.errors import BundleError
from daskbridge.node.install import HostCache

FILES = {"a.py": "1", "b.py": "22", "pkg/c.py": "333"}


@pytest.fixture
def cache(tmp_path):
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "cache")}):
        yield HostCache(str(tmp_path / "cache"))


def run(*arguments, code):
    result = CliRunner().invoke(bundle, ["diff", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def installed(cache, root):
    with build_bundle(CodeSpec([root])) as built:
        os.close(cache.install(built.reference, [("test", lambda: [built.archive.read_bytes()])]).lease)
        return built.digest


def archive(root, target):
    CliRunner().invoke(bundle, ["build", str(root), "-o", str(target)], catch_exceptions=False)
    return target


def test_equal_trees_are_equal_whatever_holds_them(project, tmp_path, cache):
    root = project(FILES)
    packed, digest = archive(root, tmp_path / "code"), installed(cache, root)
    for first, second in ((root, packed), (packed, digest), (digest[:8], root), (root, root)):
        assert run(first, second, code=0).startswith("equal: ")
        assert str(digest) in run(first, second, code=0)


def test_a_project_is_compared_with_what_a_node_has(project, cache):
    root = project(FILES)
    digest = installed(cache, root)
    project({"b.py": "44", "pkg/c.py": "4444", "new.py": "", ".gitignore": "a.py\n.gitignore\n"})
    (root / "b.py").chmod(0o755)
    assert run(root, digest[:12], code=1).splitlines()[2:] == [
        f"+ a.py  1 B  (in {root} a.py is left out by .gitignore:1 a.py)",
        "~ b.py  2 B, other content, not executable any more",
        "- new.py  0 B",
        "~ pkg/c.py  4 B -> 3 B",
        "1 removed, 1 added, 2 changed",
    ]


def test_json_has_all_of_it(project, tmp_path, cache):
    root = project(FILES)
    packed = archive(root, tmp_path / "code")
    (root / "a.py").unlink()
    (root / "b.py").chmod(0o755)
    found = json.loads(run(packed, root, "--json", code=1))
    assert not found["equal"]
    assert (found["first"]["kind"], found["first"]["files"], found["first"]["size"]) == ("archive", 3, 6)
    assert (found["second"]["kind"], found["second"]["name"]) == ("directory", str(root))
    assert (found["removed"], found["added"]) == (
        [{"path": "a.py", "size": 1, "executable": False, "left_out": None}],
        [],
    )
    assert found["changed"] == [
        {"path": "b.py", "size": [2, 2], "executable": [False, True], "content": False}
    ]


def test_byte_code_of_a_tree_in_use_is_no_difference_and_a_change_is_said(project, cache):
    root = project(FILES)
    digest = installed(cache, root)
    tree = Path(cache.path(digest, "tree"))
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    assert run(root, digest, code=0)
    (tree / "a.py").chmod(0o644)
    (tree / "a.py").write_text("2")
    told = run(root, digest, code=1)
    assert "~ a.py  1 B, other content\n" in told
    assert f"{digest} was changed in the cache" in told


def test_what_is_neither_is_an_error_that_says_what_would_be(project, tmp_path, cache):
    root = project(FILES)
    with pytest.raises(BundleError, match=rf"'0123abc' is no directory, .* cache {cache.home}"):
        run(root, "0123abc", code=2)
    with pytest.raises(BundleError, match=r"a.py' is no tar.gz or tar.zst archive"):
        run(root, root / "a.py", code=2)


def test_an_archive_that_is_cut_or_of_another_tool_is_an_error(project, tmp_path, cache):
    root = project(FILES)
    packed = archive(root, tmp_path / "code")
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(BundleError, match="damaged"):
        run(root, packed, code=2)
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as other:
        other.add(root, "project")
    with pytest.raises(BundleError, match=r"or not one of `daskbridge bundle build`"):
        run(root, tmp_path / "other.tar.gz", code=2)


def test_a_start_that_fits_several_digests_is_an_error(cache, project):
    root = project(FILES)
    found = set()
    while len({digest[:1] for digest in found}) == len(found):
        project({"a.py": str(len(found))})
        found.add(installed(cache, root))
    digest = next(one for one in found if sum(other[:1] == one[:1] for other in found) > 1)
    for other in found:  # digests as far apart as they are, with names of four digits in common
        Path(cache.path(other)).rename(cache.path(digest[:4] + other[4:]))
    with pytest.raises(BundleError, match=rf"'{digest[:4]}' may be {digest[:4]}.* or {digest[:4]}"):
        run(root, digest[:4], code=2)
