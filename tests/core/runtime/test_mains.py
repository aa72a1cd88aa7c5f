"""However a program is started: what it defines itself goes by value, what it imports is on the nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HELPER = "def scale(x):\n    return 10 * x\n"
#: Functions and classes of the program's own, which need a module of the project.
DEFINED = """
import json, os
from pathlib import Path
from distributed import get_client
from daskbridge import Dask, transient
{imports}

class Point:
    def __init__(self, x):
        self.x = x

    def scaled(self):
        return Point(helper.scale(self.x))

def add(one, other):
    return Point(one.x + other.x)

"""
RUN = """
def main():
    project = Path({project!r})
    with transient(Dask()):
        project.rename(project.with_name("hidden"))
        client = get_client()
        one = client.submit(Point(1).scaled)
        point = client.submit(add, one, client.submit(lambda: Point(helper.scale(2)))).result()
        print("REPORT", json.dumps([point.x, type(point) is Point]), flush=True)

main()
"""


@pytest.fixture
def started(tmp_path):
    def start(*arguments, stdin=None, **environ):
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path / "project",
            input=stdin,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        line = next(line for line in ran.stdout.splitlines() if "REPORT " in line)
        return json.loads(line.partition("REPORT ")[2])

    return start


def write(root, **files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def program(project, imports):
    return DEFINED.replace("{imports}", imports) + RUN.replace("{project!r}", repr(str(project)))


@pytest.mark.parametrize(
    ("arguments", "imports"),
    [
        (["run.py"], "import helper"),
        (["pkg/job.py"], "import sibling as helper"),
        (["-m", "pkg.job"], "from . import sibling as helper"),
        (["-m", "pkg"], "from .sibling import scale; import pkg.sibling as helper"),
        (["-m", "space.job"], "from space import sibling as helper"),
        (["environment/bin/tool"], "import helper"),
    ],
    ids=["script", "script in a package", "module", "package", "namespace", "installed command"],
)
def test_a_program_from_a_file(started, tmp_path, arguments, imports):
    project = tmp_path / "project"
    text = program(project, imports)
    names = {"run.py", "pkg/job.py", "pkg/__main__.py", "space/job.py", "environment/bin/tool"}
    write(project, **dict.fromkeys(names, text))
    write(project, **dict.fromkeys(["helper.py", "pkg/sibling.py", "space/sibling.py"], HELPER))
    write(project, **{"pyproject.toml": "", "pkg/__init__.py": "", "environment/pyvenv.cfg": ""})
    environ = {"PYTHONPATH": str(project)} if "environment" in arguments[0] else {}
    assert started(*arguments, **environ) == [30, True]


def test_a_program_of_the_command_line(started, tmp_path):
    write(tmp_path / "project", **{"helper.py": HELPER})
    assert started("-c", program(tmp_path / "project", "import helper")) == [30, True]


def test_a_program_on_standard_input(started, tmp_path):
    write(tmp_path / "project", **{"helper.py": HELPER})
    assert started("-", stdin=program(tmp_path / "project", "import helper")) == [30, True]


def test_a_prompt(started, tmp_path):
    write(tmp_path / "project", **{"helper.py": HELPER})
    typed = program(tmp_path / "project", "import helper").replace("\n\n    def", "\n    def") + "\n"
    assert started("-i", "-q", stdin=typed) == [30, True]


def test_a_notebook(tmp_path):
    pytest.importorskip("ipykernel", reason="a kernel brings twenty packages: install ipykernel to run this")
    from jupyter_client.manager import start_new_kernel

    project = tmp_path / "project"
    write(project, **{"helper.py": HELPER, "src/deep.py": HELPER})
    cells = [
        "import sys; sys.path.append('src'); import deep",
        DEFINED.replace("{imports}", "import helper"),
        "cluster = transient(Dask()); cluster.__enter__()",
        f"project = Path({str(project)!r}); project.rename(project.with_name('hidden'))",
        "one = get_client().submit(Point(1).scaled)",
        "def later(point):\n    return add(point, Point(deep.scale(2)))",
        "point = get_client().submit(later, one).result()",
        "cluster.__exit__(None, None, None); print('REPORT', json.dumps([point.x, type(point) is Point]))",
    ]
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(project))
    said = []
    try:
        for cell in cells:
            client.execute_interactive(
                cell, timeout=60, output_hook=lambda message: said.append(message["content"])
            )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert [content.get("traceback") for content in said if "traceback" in content] == []
    assert "REPORT [30, true]\n" in "".join(content.get("text", "") for content in said)


OUTSIDE = """
import json, sys
from pathlib import Path
import outside
from daskbridge import Dask, transient

def work():
    import outside

try:
    with transient(Dask()) as cluster:
        cluster.client.submit(work).result()
except ModuleNotFoundError as error:
    print("REPORT", json.dumps(error.__notes__))
"""


def test_what_a_program_imports_from_outside_of_the_project_is_explained(started, tmp_path):
    project = tmp_path / "project"
    write(project, **{"jobs/run.py": OUTSIDE, "outside.py": ""})
    [note] = started("jobs/run.py", PYTHONPATH=str(project))
    assert f"no such file shipped from {project / 'jobs'}: here it comes from {project};" in note
    assert f"code=CodeSpec([*default_spec().roots, Root({str(project)!r})]) ships it in any case" in note
