"""Which project a script belongs to, and what can't be one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from daskbridge.code import CodeSpec, default_spec, is_installed, project_spec, scan
from daskbridge.code.plugin import daskbridge_code_source
from daskbridge.errors import BundleError

TELL = """
import json
from daskbridge.code import default_spec
[root] = default_spec().roots
print(json.dumps([str(root.path), root.sys_path]))
"""


def told(root, *command, cwd=None, **environment):
    asked = subprocess.run(
        [sys.executable, *command],
        cwd=cwd or root,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    path, sys_path = json.loads(asked.stdout)
    return str(Path(path).relative_to(root)), sys_path


@pytest.mark.parametrize("marker", ["pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg"])
def test_the_project_is_the_nearest_directory_with_a_marker(project, marker):
    root = project({f"app/{marker}": "", "app/jobs/run.py": TELL})
    assert told(root, "app/jobs/run.py") == ("app", ["jobs"])


def test_without_a_marker_the_project_is_the_directory_of_the_script(project, tmp_path):
    root = project({"jobs/run.py": TELL})
    assert told(root, root / "jobs/run.py", cwd=tmp_path) == ("jobs", [""])


def test_a_module_run_by_name_belongs_to_the_working_directory(project):
    root = project({"setup.cfg": "", "jobs/run.py": TELL})
    assert told(root, "-m", "jobs.run") == (".", [""])


def test_an_installed_tool_belongs_to_the_working_directory(project):
    root = project({"pyproject.toml": "", "env/pyvenv.cfg": "", "env/bin/tool.py": TELL})
    assert told(root, "env/bin/tool.py") == (".", [""])


def test_import_paths_inside_the_project_are_kept_in_order(project):
    root = project({"pyproject.toml": "", "run.py": TELL, "src/a.py": "", "lib/b.py": ""})
    paths = os.pathsep.join([str(root / "lib"), str(root.parent), str(root)])
    assert told(root, "run.py", PYTHONPATH=paths) == (".", ["", "lib", "src"])


def test_a_marker_in_the_home_directory_is_not_the_scripts(project):
    root = project({".git/config": "", "jobs/run.py": TELL})
    assert told(root, "jobs/run.py", HOME=str(root)) == ("jobs", [""])


def test_a_directory_can_be_named(project):
    root = project({"src/package/a.py": "", "b.py": ""})
    [named] = project_spec(root).roots
    assert (named.path, named.sys_path) == (root, ("", "src"))


def test_the_search_can_start_at_a_directory(project):
    root = project({"app/setup.cfg": "", "app/jobs/run.py": ""})
    [found] = default_spec(root / "app" / "jobs").roots
    assert (found.path, found.sys_path) == (root / "app", ("jobs",))


def test_the_cores_code_source_takes_the_orchestrators_root_else_the_scripts_project(project):
    root = project({"b.py": ""})
    [named] = daskbridge_code_source(SimpleNamespace(code_root=root)).roots
    assert named.path == root
    assert daskbridge_code_source(SimpleNamespace(code_root=None)) == default_spec()


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("/", "is the root directory"),
        ("~", "is the home directory"),
        ("~/..", "is above the home directory"),
        ("~/lib/python3.11/site-packages", "holds installed packages"),
        ("~/nothing", "is not a directory"),
    ],
)
def test_what_can_not_be_a_project_is_refused_before_it_is_scanned(tmp_path, monkeypatch, root, words):
    home = tmp_path / "people" / "me"
    (home / "lib/python3.11/site-packages").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("os.scandir", pytest.fail)
    with pytest.raises(BundleError, match=words) as caught:
        scan(CodeSpec([Path(root).expanduser()]))
    assert caught.value.__notes__


def test_the_temporary_directory_is_refused_but_a_project_in_it_is_not(project, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = project({"a.py": ""})
    with pytest.raises(BundleError, match="is the temporary directory"):
        scan(CodeSpec([tmp_path]))
    assert scan(CodeSpec([root])).files


@pytest.mark.parametrize(
    ("place", "installed"),
    [("src", False), ("env/src/pkg", True), ("vendor/site-packages/pkg", True)],
    ids=["project", "environment", "target directory"],
)
def test_what_belongs_to_an_environment_is_told_from_a_project(project, place, installed):
    root = project({"env/pyvenv.cfg": "", f"{place}/a.py": ""})
    assert is_installed(root / place) is installed
