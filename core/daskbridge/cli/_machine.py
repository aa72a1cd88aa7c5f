"""Say what this machine has for daskbridge, and what is wrong with it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from daskbridge.errors import DaskbridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator


def machine() -> tuple[list[tuple[str, str]], list[str]]:
    """Return rows, each a title and what there is, and the problems; blocks, starts and contacts nothing."""
    from importlib.metadata import version

    from daskbridge.cluster._versions import mine

    facts = mine()
    python, platform = facts.pop("python"), facts.pop("platform", "")
    packages = {"daskbridge": version("daskbridge"), **facts}
    rows = [
        ("python", f"{python}, {platform}: {sys.executable}"),
        ("packages", ", ".join(f"{name} {each}" for name, each in packages.items())),
        ("scripts", _scripts(facts["distributed"])),
        *_provisioners(),
    ]
    problems = [f"{title}: {text}" for title, text in rows if text.startswith(CANT)]
    if facts["dask"] != facts["distributed"]:
        problems.append(
            f"dask {facts['dask']} and distributed {facts['distributed']} don't fit: both the same"
        )
    return rows, [*problems, *_broken()]


#: How the row of a provisioner begins that could not start here.
CANT = "can't start: "


def _scripts(distributed: str) -> str:
    from daskbridge.cluster._commands import SCRIPTS, lacks_scripts

    if not lacks_scripts(None):
        return f"{', '.join(SCRIPTS)}; distributed 2026.6.0 drops them for 'dask scheduler', 'dask worker'"
    strays = [place for script in SCRIPTS if (place := shutil.which(script))]
    gone = f"'dask scheduler', 'dask worker'; distributed {distributed} has no {', '.join(SCRIPTS)}"
    return f"{gone}: {', '.join(strays)} belong to another environment" if strays else gone


def _provisioners() -> Iterator[tuple[str, str]]:
    from daskbridge.plugins import plugins

    for name in plugins().names("daskbridge_provisioners"):
        diagnose = getattr(plugins().provisioner(name), "diagnose", None)
        try:
            text = diagnose() if diagnose else "is installed"
        except DaskbridgeError as error:
            text = f"{CANT}{error}"
        yield f"provisioner {name}", text


def _broken() -> list[str]:
    from daskbridge.plugins import plugins

    return [f"plugin {each.name}: {each.error}" for each in plugins().listing() if each.status == "broken"]
