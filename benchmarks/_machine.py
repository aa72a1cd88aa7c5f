"""What a result depends on: the machine, the versions, and byte code, which is compiled first."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

COUNT = """
import os, sys
import distributed, daskbridge
from daskbridge import Dask, WorkerGroup, transient

specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
places = [spec.cached for spec in specs if spec and spec.cached]
print(len(places), sum(not os.path.exists(place) for place in places))
"""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what configures Dask or Python's imports."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONSTARTUP"}
    return {
        key: value for key, value in os.environ.items() if key not in unwanted and not key.startswith("DASK_")
    }


def compile_packages() -> str:
    """Compile all packages of this environment, and daskbridge; return what state that left.

    Without byte code every process that imports distributed pays about four times as much. It stays in the
    environment.
    """
    environment = clean_environment()
    source = importlib.util.find_spec("daskbridge")
    assert source is not None
    assert source.origin is not None
    paths = sysconfig.get_paths()
    places = {paths["purelib"], paths["platlib"], str(Path(source.origin).parent)}
    compiled = subprocess.run(  # noqa: S603 -- this interpreter
        [sys.executable, "-m", "compileall", "-q", "-j", "0", *sorted(places)],
        env=environment,
        stdout=subprocess.DEVNULL,  # templates among the packages are no Python
        check=False,
    )
    asked = subprocess.run(  # noqa: S603 -- this interpreter
        [sys.executable, "-c", COUNT], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    modules, missing = map(int, asked.stdout.split())
    state = "compiled" if not missing else f"INCOMPLETE (compileall: exit code {compiled.returncode})"
    return f"byte code {state}: {missing} of {modules} imported modules are without"


def load() -> str:
    """Return the load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{average:.2f}" for average in os.getloadavg())


def describe() -> dict[str, str]:
    """Return the machine, the versions and the load before anything is measured."""
    bokeh = f"bokeh {version('bokeh')}" if importlib.util.find_spec("bokeh") else "no bokeh"
    packages = ", ".join(f"{name} {version(name)}" for name in ("dask", "distributed", "daskbridge"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{len(os.sched_getaffinity(0))} processors, {memory:.0f} GiB, {platform.platform()}",
        "versions": f"Python {platform.python_version()}, {packages}, {bokeh}",
        "load": f"load before: {load()}",
    }
