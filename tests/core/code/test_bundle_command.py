"""`daskbridge bundle` lists and packs what would ship."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from daskbridge.cli._bundle import bundle
from daskbridge.code import CodeSpec, build_bundle
from daskbridge.errors import BundleError


def run(*arguments):
    return CliRunner().invoke(bundle, [str(each) for each in arguments], catch_exceptions=False).output


def test_ls_shows_what_ships_and_all_shows_why_the_rest_does_not(project):
    root = project({"src/a.py": "12345", ".env": ""})
    shown = run("ls", root)
    assert "         5  src/a.py" in shown
    assert "1 files, 5 B; nodes import from: ., src" in shown
    assert ".env" not in shown
    assert "-  .env  (secrets: .env*)" in run("ls", root, "--all")


def test_ls_speaks_json(project):
    root = project({"a.py": "1", ".env": ""})
    assert json.loads(run("ls", root, "--json", "--all")) == {
        "files": [{"path": "a.py", "size": 1, "executable": False}],
        "size": 1,
        "sys_path": [""],
        "left_out": [{"path": ".env", "reason": "secrets: .env*"}],
    }


def test_build_writes_the_archive_and_tells_its_digest(project, tmp_path):
    root, output = project({"a.py": "1"}), tmp_path / "code.tar.gz"
    summary = json.loads(run("build", root, "-o", output, "--json"))
    with build_bundle(CodeSpec([root])) as expected:
        assert (summary["digest"], summary["files"]) == (expected.digest, 1)
        assert output.read_bytes() == expected.archive.read_bytes()
    assert f"digest {expected.digest}" in run("build", root, "-o", output)


def test_an_error_is_left_to_the_command_line_to_word(project):
    with pytest.raises(BundleError, match="is not a directory"):
        run("ls", project({}) / "nothing")
