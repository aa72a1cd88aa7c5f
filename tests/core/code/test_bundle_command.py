"""`daskbridge bundle` lists and packs what would ship."""

from __future__ import annotations

import json

import dask.config
import pytest
from click.testing import CliRunner

from daskbridge.cli._bundle import bundle
from daskbridge.code import CodeSpec, _limits, build_bundle
from daskbridge.errors import BundleError
from daskbridge.node.compress import FORMATS


def run(*arguments):
    return CliRunner().invoke(bundle, [str(each) for each in arguments], catch_exceptions=False).output


def test_ls_shows_what_ships_and_all_shows_why_the_rest_does_not(project):
    root = project({"src/a.py": "12345", "gen.py": "", ".gitignore": "gen.py\n.gitignore\n"})
    shown = run("ls", root)
    assert "         5  src/a.py" in shown
    assert "1 files, 5 B; nodes import from: ., src" in shown
    assert "gen.py" not in shown
    assert "-  gen.py  (.gitignore:1 gen.py)" in run("ls", root, "--all")


def test_ls_always_shows_the_secrets_that_stay_behind(project):
    root = project({"a.py": "", ".env": "", ".gitignore": "gen.py\n", "gen.py": ""})
    shown = run("ls", root)
    assert "-  .env  (secrets: .env*)" in shown
    assert shown.endswith("2 left out, 1 of them as secrets (--all shows why)\n")


def test_many_secrets_are_named_in_part_and_all_counted(project):
    root = project({"a.py": ""} | {f"key{number}.pem": "" for number in range(30)})
    shown = run("ls", root)
    assert shown.count("(secrets: *.pem)") == 20
    assert "30 left out, 30 of them as secrets" in shown
    assert run("ls", root, "--all").count("(secrets: *.pem)") == 30


def test_ls_sorts_by_size_and_sums_up_what_is_big(project):
    files = {f"pkg/m{number:02}.py": "1" * (number + 1) for number in range(20)}
    root = project({**files, "raw/x/data.csv": "1" * 900})
    lines = run("ls", root, "--sort", "size").splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["raw/x/data.csv", "pkg/m19.py"]
    assert "       900   81%  raw/x/" in lines
    assert "       210   19%  pkg/  (20 files)" in lines
    assert "       900   81%  raw/x/data.csv" in lines[lines.index("largest files:") :]


def test_ls_says_what_a_run_would_say_of_the_size(project, monkeypatch):
    root = project({"raw/data.csv": "1" * 5000})
    assert "warns" not in run("ls", root)
    with dask.config.set({"daskbridge.bundle-warn": 0.001}):
        assert "each run warns: the code is large: 1 files, 5000 B; 5000 B of it are data" in run("ls", root)
    monkeypatch.setattr(_limits, "MAX_BYTES", 10)
    assert "no run would ship this: 5000 B would ship" in run("ls", root)


def test_ls_speaks_json(project):
    root = project({"pkg/a.py": "1", "b.py": "22", ".env": "", "c.pyc": ""})
    assert json.loads(run("ls", root, "--json", "--sort", "size")) == {
        "files": [
            {"path": "b.py", "size": 2, "executable": False},
            {"path": "pkg/a.py", "size": 1, "executable": False},
        ],
        "size": 3,
        "sys_path": [""],
        "left_out": [
            {"path": ".env", "reason": "secrets: .env*", "secret": True},
            {"path": "c.pyc", "reason": "built-in: *.py[co]", "secret": False},
        ],
        "largest_directories": [{"name": "pkg/", "files": 1, "size": 1}],
        "warning": None,
    }


def test_build_writes_the_archive_and_tells_its_digest(project, tmp_path):
    root, output = project({"a.py": "1"}), tmp_path / f"code.{FORMATS[0]}"
    summary = json.loads(run("build", root, "-o", output, "--json"))
    with build_bundle(CodeSpec([root])) as expected:
        assert (summary["digest"], summary["files"]) == (expected.digest, 1)
        assert output.read_bytes() == expected.archive.read_bytes()
    assert (summary["bytes"], summary["size"], summary["format"]) == (1, expected.size, expected.format)
    assert (summary["ratio"], summary["seconds"] > 0) == (float(expected.size), True)
    assert f"digest {expected.digest}" in run("build", root, "-o", output)


def test_build_says_that_its_archive_will_ship_and_that_its_name_misleads(project):
    root = project({"a.py": "1"})
    output = root / "code.zip"
    told = run("build", root, "-o", output)
    assert f"{output} lies in {root} and ships from now on" in told
    assert f"{output} is a {FORMATS[0]}, whatever its name says" in told
    (root / ".daskbridgeignore").write_text("*.zip\n")
    assert "ships from now on" not in run("build", root, "-o", output)


def test_an_archive_that_can_not_be_written_is_an_error(project, tmp_path):
    with pytest.raises(BundleError, match="nowhere/a' can't be written: No such file"):
        run("build", project({"a.py": ""}), "-o", tmp_path / "nowhere" / "a")


def test_an_error_is_left_to_the_command_line_to_word(project):
    with pytest.raises(BundleError, match="is not a directory"):
        run("ls", project({}) / "nothing")
