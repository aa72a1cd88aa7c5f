"""Local runs wherever they are: in a pod, with settings that are wrong, of code that is installed."""

from __future__ import annotations

import site
import sys
import venv

from .local import FLYTE

SQUARES = """
import os
import daskbridge_flyte, flyte
from daskbridge import Dask, WorkerGroup
from distributed import get_client

env = flyte.TaskEnvironment("squares", plugin_config=Dask(workers=WorkerGroup(1)))

def here(_):
    return [str(os.getpid()), __file__]

@env.task
def main() -> list[str]:
    return get_client().submit(here, 0).result()
"""


def test_a_local_run_in_a_pod_is_local(project):
    project.environ["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"
    project.write("wf.py", SQUARES)
    _, printed = project.run(FLYTE, "run", "--local", "wf.py", "main")
    assert "Completed Local Run" in printed


def test_a_wrong_setting_is_said_with_its_hint(project):
    project.environ["DASK_DASKBRIDGE__LOST_TIMEOUT"] = "soon"
    told = project.python("""
        @env.task
        async def main() -> int: ...

        try:
            run(main)
        except flyte.errors.RuntimeUserError as error:
            tell(code=error.code, message=str(error))
    """)
    assert told["code"] == "SettingError"
    assert "daskbridge.lost-timeout is 'soon'" in told["message"]
    assert "hint: Seconds without a connection" in told["message"]


def test_a_task_of_an_installed_package_runs_on_nodes_that_have_the_same_environment(project, tmp_path):
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    this = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
    packages.joinpath("this_environment.pth").write_text("\n".join(this))
    packages.joinpath("squares.py").write_text(SQUARES)
    project.write(
        "program.py",
        """
        import json, os, pathlib
        import flyte
        import squares

        outputs = flyte.with_runcontext(mode="local").run(squares.main).outputs()[0]
        pathlib.Path(os.environ["TOLD"]).write_text(json.dumps([os.getpid(), *outputs]))
        """,
    )
    (driver, node, file), _ = project.run(str(tmp_path / "venv" / "bin" / "python"), "program.py")
    assert driver != int(node)
    assert file == str(packages / "squares.py")


def test_a_task_of_a_package_s_own_module_takes_the_whole_package_along(project):
    project.path.joinpath("jobs").mkdir()
    project.write("jobs/__init__.py", f"from .parts import one\n{SQUARES}")
    project.write("jobs/parts.py", "one = 1\n")
    project.write(
        "program.py",
        "import flyte, jobs\nflyte.with_runcontext(mode='local').run(jobs.main)\n",
    )
    project.run(sys.executable, "program.py")
