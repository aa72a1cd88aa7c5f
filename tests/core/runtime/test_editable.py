"""Editable installs are paths of the driver's machine: what nodes need of them ships."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from textwrap import dedent

import pytest
from tests.drivers import PRELUDE
from tests.nodes import dask_nodes

HATCHLING = """
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"
    [project]
    name = "{name}"
    version = "1"
    [tool.hatch.build]
    dev-mode-exact = {exact}
    [tool.hatch.build.targets.wheel]
    packages = ["src/{module}"]
"""
SETUPTOOLS = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
    [project]
    name = "{name}"
    version = "1"
    [tool.setuptools]
    {how}
"""
RENAMED = """
    packages = ["shop", "shop.deep", "acme.prices", "plain"]
    py-modules = ["single"]
    [project.scripts]
    app-tool = "plain:main"
    [tool.setuptools.package-dir]
    "" = "lib/python"
    shop = "code/shop_v2"
    "shop.deep" = "code/other"
    "acme.prices" = "code/acme"
"""
VALUE = "def value():\n    return [__name__, __file__]\n"
TOOL = """
def main():
    from daskbridge import Dask, transient
    with transient(Dask()) as cluster:
        print(cluster.timeline[0].detail)
        print(*cluster.client.submit(value).result())
"""


def hatchling(name, *, exact=False):
    told = HATCHLING.format(name=name, module=name.replace("-", "_"), exact=str(exact).lower())
    return {"pyproject.toml": told, f"src/{name.replace('-', '_')}/__init__.py": VALUE}


def setuptools(name, how, *modules):
    return {"pyproject.toml": SETUPTOOLS.replace("{name}", name).replace("{how}", how)} | dict.fromkeys(
        modules, VALUE
    )


#: The running project is installed, too, with packages in places that its `sys.path` doesn't tell.
APP = setuptools(
    "app",
    RENAMED,
    "code/shop_v2/__init__.py",
    "code/shop_v2/part.py",
    "code/other/__init__.py",
    "code/acme/__init__.py",
) | {"lib/python/plain/__init__.py": VALUE + TOOL, "lib/python/single.py": VALUE}
LIBRARIES = {
    "hatch-path": hatchling("hatch-path")
    | {".env": "SECRET=1", ".gitignore": "*.csv", "data.csv": "1", "src/hatch_path/data.csv": "2"},
    "hatch-exact": hatchling("hatch-exact", exact=True),
    "tools-path": setuptools(
        "tools-path",
        'package-dir = {"" = "lib/python"}\n    packages.find.where = ["lib/python"]',
        "lib/python/tools_path/__init__.py",
    ),
    "tools-flat": setuptools(
        "tools-flat", 'packages = ["tools_flat"]', "tools_flat/__init__.py", "tools_flat/more.py"
    ),
    "tools-space": setuptools(
        "tools-space",
        'packages.find.namespaces = true\n    packages.find.include = ["space*"]',
        "space/inner/__init__.py",
    ),
    "unused": hatchling("unused"),
    "unused-exact": hatchling("unused-exact", exact=True),
    "unused-renamed": setuptools(
        "unused-renamed", 'packages = ["renamed"]\n    package-dir = {renamed = "v2"}', "v2/__init__.py"
    ),
}
NAMES = ["shop", "shop.part", "shop.deep", "acme.prices", "plain", "single"]
NAMES += ["hatch_path", "hatch_exact", "tools_path", "tools_flat", "tools_flat.more", "space.inner"]

MAIN = """
    from importlib import import_module
    functions = [import_module(name).value for name in NAMES]

    def by_value(name):
        def imported(files=False):
            import importlib, os
            from pathlib import Path
            module = importlib.import_module(name)
            if files:
                root = Path(module.__file__).parents[2]
                return sorted(str(file.relative_to(root)) for file in root.rglob("*"))
        return imported

    def failure(cluster, name):
        try:
            with transient(Dask(), provisioner=provisioner) as cluster:
                cluster.client.submit(by_value(name)).result(timeout=60)
        except ModuleNotFoundError as error:
            return error.__notes__

    where = os.environ.get("SCHEDULER")
    provisioner = Existing(where) if where else None
    notes = {}
    if where:
        notes = {name: failure(provisioner, name) for name in ("unused", "unused_exact", "renamed")}
    with transient(Dask(), provisioner=provisioner) as cluster:
        everywhere = PROJECT.parent
        everywhere.rename(everywhere.with_name("hidden"))
        sent = [cluster.client.submit(function) for function in functions]
        answers = [future.result(timeout=60) for future in sent]
        files = cluster.client.submit(by_value("hatch_path"), files=True).result(timeout=60)
        report(answers=answers, check=cluster.timeline[0].detail, notes=notes, files=files)
"""


def write(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))


@pytest.fixture(scope="module", params=["pip", "uv"])
def installed(request, tmp_path_factory):
    """Install a workspace's projects as editable; give the interpreter and the workspace."""
    installer = {
        "pip": [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"],
        "uv": [shutil.which("uv") or "", "pip", "--quiet", "--offline"],
    }[request.param]
    if not installer[0]:
        pytest.skip("needs uv")
    workspace = tmp_path_factory.mktemp(request.param) / "workspace"
    write(workspace / "app", APP)
    for name, files in LIBRARIES.items():
        write(workspace / "libs" / name, files)
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "0.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    where = ["--python", str(python)]
    command = [*installer, *where, "install"] if request.param == "pip" else [*installer, "install", *where]
    projects = [workspace / "app", *(workspace / "libs" / name for name in LIBRARIES)]
    links = [word for project in projects for word in ("-e", str(project))]
    offline = ["--no-index"] if request.param == "pip" else []
    subprocess.run([*command, "--no-build-isolation", "--no-deps", *offline, *links], check=True, timeout=100)
    return python, workspace


def show(workspace):
    """Bring the workspace back that a program has hidden from the nodes."""
    if workspace.with_name("hidden").exists():
        workspace.with_name("hidden").rename(workspace)


@pytest.fixture(scope="module", params=["local", "remote"])
def told(request, installed, tmp_path_factory):
    python, workspace = installed
    environ = dict(os.environ)
    show(workspace)
    main = workspace / "app" / "jobs" / "main.py"
    prelude = PRELUDE.replace("Path(__file__).parent", "Path(__file__).parent.parent")
    write(main.parent, {"main.py": prelude + f"NAMES = {NAMES}\n" + dedent(MAIN)})
    with dask_nodes(tmp_path_factory.mktemp("nodes")) as made:
        if request.param == "remote":
            made.scheduler()
            made.worker("remote", "--nanny")
            environ["SCHEDULER"] = made.address
        ran = subprocess.run(
            [python, main], capture_output=True, text=True, env=environ, timeout=100, check=False
        )
    assert ran.returncode == 0, ran.stderr
    line = next(line for line in ran.stdout.splitlines() if line.startswith("REPORT "))
    return json.loads(line.removeprefix("REPORT ")) | {"remote": request.param == "remote"}


def test_nodes_import_every_module_by_its_name_from_what_shipped(told):
    assert [name for name, _ in told["answers"]] == NAMES
    assert [file for _, file in told["answers"] if "/tree/" not in file] == []


def test_the_check_names_the_roots_and_nothing_that_was_not_loaded(told):
    names = ["workspace/app", "hatch-exact", "hatch-path", "tools-flat", "tools-path", "tools-space"]
    places = [told["check"].find(f"{name}, ") for name in names[:-1]]
    assert places == sorted(places), told["check"]
    assert -1 not in places
    assert "unused" not in told["check"]


def test_ignore_rules_and_secrets_hold_in_further_roots(told):
    files = [file for file in told["files"] if "__pycache__" not in file]
    assert files == [".gitignore", "pyproject.toml", "src", "src/hatch_path", "src/hatch_path/__init__.py"]


def test_an_installed_command_ships_its_project_and_not_where_it_is_started(installed, tmp_path):
    python, workspace = installed
    show(workspace)
    (tmp_path / "large.csv").touch()
    told = subprocess.run(
        [python.with_name("app-tool")], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    detail, answer = told.stdout.splitlines()
    assert f" of {workspace / 'app'}, " in detail
    assert str(tmp_path) not in detail
    assert "/tree/" in answer


def test_a_finder_inside_of_the_project_is_known_before_anything_is_loaded(installed):
    python, workspace = installed
    show(workspace)
    ask = """if True:
        from daskbridge.code import project_spec, scan
        found = scan(project_spec("."))
        print(*found.sys_path, *(file.path for file in found.files))
    """
    told = subprocess.run(
        [python, "-c", ask], cwd=workspace / "app", capture_output=True, text=True, check=True
    )
    names = told.stdout.split()
    assert {"lib/python", ".daskbridge/modules", ".daskbridge/modules/shop/deep/__init__.py"} <= set(names)


def test_a_module_that_was_not_loaded_is_explained(told):
    if not told["remote"]:
        pytest.skip("local nodes have the driver's environment")
    for name, root in {
        "unused": "libs/unused', sys_path=['src'])",
        "unused_exact": "libs/unused-exact', sys_path=['src'])",
        "renamed": "libs/unused-renamed/v2', package='renamed')",
    }.items():
        [note] = told["notes"][name]
        assert "here it is the editable install 'unused" in note
        assert "code=CodeSpec([*default_spec().roots, Root('" in note
        assert root in note
