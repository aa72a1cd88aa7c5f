"""Which peers and tools are on this machine, and an environment for the one that has none in ours."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venvs" / "peers"
#: Seconds for the installation of a wheel of 70 MB.
_PATIENCE = 600


def interpreter(way: str) -> str:
    """Return the Python that runs a way of packing or installing."""
    return str(ENVIRONMENT / "bin" / "python") if way == "Ray" else sys.executable


def absent(way: str) -> str | None:
    """Say what keeps a way of packing or installing from being measured here, if anything."""
    tools = [tool for tool in ("tar", "zstd") if tool in way]
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        return f"no {' and no '.join(missing)} on this machine"
    if way == "flyte" and importlib.util.find_spec("flyte") is None:
        return "flyte is not installed"
    if way == "Ray" and not _has_ray():
        return f"no ray in {ENVIRONMENT.relative_to(ROOT)}; --ray installs it there"
    return None


def install_ray() -> None:
    """Make an environment with ray, unless it is there; say why if there is none afterwards."""
    if _has_ray():
        return
    command = [str(ROOT / ".ci" / "set-up"), str(ENVIRONMENT.relative_to(ROOT)), "ray"]
    try:
        subprocess.run(command, cwd=ROOT, check=True, timeout=_PATIENCE, stdout=subprocess.DEVNULL)  # noqa: S603 -- ours
    except (subprocess.SubprocessError, OSError) as error:
        print(f"ray can't be installed: {error}")


def _has_ray() -> bool:
    return any(ENVIRONMENT.glob("lib/python*/site-packages/ray/_private/runtime_env/packaging.py"))
