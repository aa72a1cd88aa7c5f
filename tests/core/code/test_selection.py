"""What ships and what stays behind."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from daskbridge.code import CodeSpec, Root, scan
from daskbridge.errors import BundleError

GIT = shutil.which("git")


def shipped(*roots, **options):
    return [file.path for file in scan(CodeSpec(roots, **options)).files]


def reasons(*roots, **options):
    return {item.path: item.reason for item in scan(CodeSpec(roots, **options)).left_out}


IGNORED = {
    "a plain name at any depth": ("*.csv", ["data.csv", "deep/er/data.csv"]),
    "an anchored name only at the top": ("/top.py", ["top.py"]),
    "a directory and all in it": ("build/", ["build/a.py", "deep/build/b.py"]),
    "a slash inside anchors": ("deep/x.py", ["deep/x.py"]),
    "two stars across directories": ("deep/**/data.csv", ["deep/er/data.csv"]),
    "a negation after it brings one back": ("*.csv\n!/data.csv", ["deep/er/data.csv"]),
    "no negation below an ignored directory": ("build/\n!build/a.py", ["build/a.py", "deep/build/b.py"]),
    "an escaped hash": ("\\#odd.py", ["#odd.py"]),
    "a trailing space is nothing": ("*.csv  ", ["data.csv", "deep/er/data.csv"]),
    "a class": ("[tx]*.py", ["top.py", "deep/top.py", "deep/x.py"]),
    "a comment is nothing": ("# *.py", []),
}
TREE = (
    "#odd.py",
    "build/a.py",
    "data.csv",
    "deep/build/b.py",
    "deep/er/data.csv",
    "deep/top.py",
    "deep/x.py",
    "job.py",
    "top.py",
)


@pytest.mark.parametrize("lines", [rule for rule, _ in IGNORED.values()], ids=list(IGNORED))
def test_a_gitignore_means_what_it_means_to_git(project, lines):
    root = project({**dict.fromkeys(TREE, ""), ".gitignore": lines})
    subprocess.run([GIT, "init", "-q", root], check=True)
    command = [GIT, "-c", "core.quotePath=off", "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert shipped(root) == sorted(listed.stdout.split("\n")[:-1])


@pytest.mark.parametrize(("lines", "gone"), IGNORED.values(), ids=list(IGNORED))
def test_a_daskbridgeignore_speaks_the_same_language(project, lines, gone):
    root = project({**dict.fromkeys(TREE, ""), ".daskbridgeignore": lines})
    assert set(TREE) - set(shipped(root)) == set(gone)


def test_each_reason_names_the_file_the_line_and_the_pattern(project):
    root = project(
        {"deep/.gitignore": "\n# big\n*.csv\n", "deep/a.csv": "", ".env": "", "__pycache__/x.pyc": ""}
    )
    assert reasons(root, exclude=["*.md"]) == {
        "deep/a.csv": "deep/.gitignore:3 *.csv",
        ".env": "secrets: .env*",
        "__pycache__/": "built-in: __pycache__/",
    }


def test_a_daskbridgeignore_wins_over_a_deeper_gitignore(project):
    root = project({".daskbridgeignore": "!model.bin", "deep/.gitignore": "*.bin", "deep/model.bin": ""})
    assert "deep/model.bin" in shipped(root)


def test_a_repository_above_the_root_has_its_say(project):
    root = project({".gitignore": "*.csv\n/app/out/", "app/a.csv": "", "app/out/x.py": "", "app/job.py": ""})
    subprocess.run([GIT, "init", "-q", root], check=True)
    (root / ".git/info/exclude").write_text("notes.txt\n")
    (root / "app/notes.txt").touch()
    assert shipped(root / "app") == ["job.py"]
    assert reasons(root / "app")["out/"] == "../.gitignore:2 /app/out/"


def test_a_worktree_has_the_rules_of_its_repository(project, tmp_path):
    root = project({"job.py": "", ".gitignore": "*.csv"})
    subprocess.run([GIT, "init", "-q", root], check=True)
    (root / ".git/info/exclude").write_text("notes.txt\n")
    me = ["-c", "user.name=me", "-c", "user.email=me@localhost"]
    subprocess.run([GIT, "-C", root, *me, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    tree = tmp_path / "tree"
    subprocess.run([GIT, "-C", root, "worktree", "add", "-q", tree], check=True)
    for name in ("notes.txt", "a.csv", "job.py"):
        (tree / name).touch()
    (tree / ".gitignore").write_text("*.csv")
    assert shipped(tree) == [".gitignore", "job.py"]


def test_a_root_that_its_repository_ignores_was_chosen_on_purpose(project):
    root = project({".gitignore": "out/\n", "out/job.py": ""})
    subprocess.run([GIT, "init", "-q", root], check=True)
    assert shipped(root / "out") == ["job.py"]


def test_include_brings_back_what_was_ignored_and_only_that(project):
    root = project({".gitignore": "data/\n*.csv", "data/big.bin": "", "data/small.json": "", "a.csv": ""})
    project({"data/.gitignore": "!*"})
    assert shipped(root, include=["data/*.json", "a.csv"]) == [".gitignore", "a.csv", "data/small.json"]


def test_a_virtual_environment_stays_behind_whatever_its_name(project):
    root = project({"py/pyvenv.cfg": "", "py/lib/x.py": "", "job.py": ""})
    assert shipped(root) == ["job.py"]
    assert reasons(root) == {"py/": "built-in: virtual environment (pyvenv.cfg)"}


def test_links_are_followed_inside_a_root_only(project, tmp_path):
    root = project({"real.py": "x = 1", "package/a.py": "", ".env": "", "package/.aws/config": ""})
    (tmp_path / "outside.py").touch()
    targets = {
        "link.py": "real.py",
        "linked": "package",
        "leaves.py": "../outside.py",
        "settings": ".env",
        "cloud": "package/.aws",
        "broken.py": "nothing",
        "package/loop": "../package",
    }
    for link, target in targets.items():
        (root / link).symlink_to(target)
    assert shipped(root) == ["link.py", "linked/a.py", "package/a.py", "real.py"]
    found = reasons(root)
    assert found["leaves.py"] == f"a link that leaves the root: {tmp_path / 'outside.py'}"
    assert found["settings"] == "secrets: .env*, through a link"
    assert found["cloud/"] == "secrets: .aws, through a link"
    assert found["broken.py"].startswith("can't be read")
    assert found["package/loop/"] == "a link to a directory above it"


def test_what_is_not_a_regular_file_never_ships(project):
    root = project({"job.py": ""})
    os.mkfifo(root / "pipe")
    assert shipped(root) == ["job.py"]
    assert reasons(root) == {"pipe": "not a regular file"}


@pytest.mark.parametrize("name", ["back\\slash.py", "line\nbreak.py", "drive:c.py"])
def test_a_name_that_some_node_can_not_have_stays_behind(project, name):
    assert reasons(project({name: ""})) == {name: "its name is not possible on every node"}


@pytest.mark.parametrize(
    "pair",
    [("Job.py", "job.py"), ("caf\u00e9.py", "cafe\u0301.py"), ("a/Job", "a/job/b/c.py")],
    ids=["case", "unicode", "file and directory"],
)
def test_two_names_that_are_one_elsewhere_are_an_error(project, pair):
    with pytest.raises(BundleError, match="one name on some file systems"):
        shipped(project(dict.fromkeys(pair, "")))


def test_directories_that_are_one_elsewhere_are_none_of_our_business(project):
    assert shipped(project({"Docs/a.py": "", "docs/b.py": ""})) == ["Docs/a.py", "docs/b.py"]


def test_several_roots_get_a_directory_each_and_their_own_import_paths(project):
    root = project({"a/src/one.py": "", "b/two.py": ""})
    selection = scan(CodeSpec([Root(root / "a", ["src", ""]), root / "b"]))
    assert [file.path for file in selection.files] == ["0/src/one.py", "1/two.py"]
    assert selection.sys_path == ("0/src", "0", "1")


def test_an_entry_module_travels_under_the_name_of_its_import(project):
    root = project({"dags/flow.py": "x = 1"})
    selection = scan(CodeSpec([], modules={"unusual_prefix_x_flow": root / "dags/flow.py"}))
    assert [file.path for file in selection.files] == [".daskbridge/modules/unusual_prefix_x_flow.py"]
    assert selection.sys_path == (".daskbridge/modules",)


@pytest.mark.parametrize("entry", ["../up", "/abs", "a/../../b"])
def test_an_import_path_outside_its_root_is_an_error(tmp_path, entry):
    with pytest.raises(BundleError, match="must be a directory inside it"):
        Root(tmp_path, [entry])


def test_a_package_ships_under_its_import_name_and_entry_modules_by_dotted_ones(project):
    root = project({"job.py": "", "v2/__init__.py": "", "v2/sub/a.py": "", "v2/.env": "", "flow.py": ""})
    spec = CodeSpec(
        [root, Root(root / "v2", package="acme.shop")],
        exclude=["/v2"],
        modules={"run.x.flow": root / "flow.py"},
    )
    found = scan(spec)
    assert found.sys_path == (".daskbridge/modules", "")
    assert [file.path for file in found.files] == [
        ".daskbridge/modules/acme/shop/__init__.py",
        ".daskbridge/modules/acme/shop/sub/a.py",
        ".daskbridge/modules/run/x/flow.py",
        "flow.py",
        "job.py",
    ]


def test_a_dotted_name_below_a_package_that_ships_from_elsewhere_is_refused(project):
    root = project({"src/shop/__init__.py": "", "flow.py": ""})
    spec = CodeSpec([Root(root, ["", "src"])], modules={"shop.flow": root / "flow.py"})
    with pytest.raises(BundleError, match="below 'shop' can't be imported .* ships as src/shop/__init__.py"):
        scan(spec)


@pytest.mark.parametrize("name", ["a-b", "a..b", "", ".a"])
def test_what_can_not_be_imported_is_no_name(project, name):
    with pytest.raises(BundleError, match="can't be imported by that name"):
        CodeSpec(["."], modules={name: "flow.py"})
    with pytest.raises(BundleError, match="can't be imported by that name"):
        Root(".", package=name)
