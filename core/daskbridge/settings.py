"""The settings under ``daskbridge:`` in Dask's own configuration system, each with its default."""

from __future__ import annotations

import os
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daskbridge.errors import SettingError, unknown


@dataclass(frozen=True)
class Setting:
    """Describe one setting: its default, the type or the values it may have, and what it does."""

    default: Any
    allowed: type | tuple[str, ...]
    doc: str
    #: Numbers are above zero; some may be zero, too.
    zero: bool = False


#: What Dask takes for a file of configuration, by its ending.
CONFIGURATION = frozenset({".json", ".yaml", ".yml"})

SETTINGS: dict[str, Setting] = {
    "topologies": Setting(
        {}, dict, "Topologies by name, each a document without `version`: what `transient(name)` starts."
    ),
    "provisioner": Setting(None, str, "Provisioner of runs that name none; without it `local`."),
    "tls": Setting(
        default=True, allowed=bool, doc="Encrypt and authenticate what the nodes of a cluster say."
    ),
    "local-start": Setting(
        "auto",
        ("auto", "fork", "spawn"),
        "How `local` starts nodes: forks of a warm process, or fresh interpreters; auto: forks on Linux.",
    ),
    "local-warm": Setting(
        60.0,
        float,
        "Seconds for which the process that starts local nodes waits for the next cluster.",
        zero=True,
    ),
    "environment-check": Setting(
        "error",
        ("error", "warn", "ignore"),
        "Where nodes differ from the driver: an error for what breaks pickling and a warning for the rest,"
        " warnings for all, or no comparison.",
    ),
    "connect-timeout": Setting(30.0, float, "Seconds to connect to a scheduler that should be up."),
    "lost-timeout": Setting(15.0, float, "Seconds without a connection after which a scheduler is lost."),
    "close-timeout": Setting(30.0, float, "Seconds that the end of a cluster may take."),
    "lease": Setting(
        default=True, allowed=bool, doc="Let a cluster end itself when the process that owns it is gone."
    ),
    "lease-start": Setting(600.0, float, "Seconds after which a cluster ends itself if no driver has come."),
    "lease-grace": Setting(30.0, float, "Seconds after which a cluster ends itself once its driver is gone."),
    "lease-stale": Setting(60.0, float, "Seconds after which a cluster ends itself if its driver is silent."),
    "step-interval": Setting(5.0, float, "Seconds between two reports of a step that waits; at most 5."),
    "display": Setting(
        "auto",
        ("auto", "on", "off"),
        "Show the steps of a run on stderr; auto: on a terminal and in an orchestrator's task.",
    ),
    "forward-logs": Setting(
        default=True, allowed=bool, doc="Bring what workers print and log to the driver's logging."
    ),
    "log-rate": Setting(100.0, float, "Lines per second that one worker may send in the long run."),
    "log-burst": Setting(1000, int, "Lines that one worker may send at once."),
    "bundle-store": Setting(None, str, "fsspec URL under which bundles are stored for the nodes to fetch."),
    "bundle-warn": Setting(
        20.0,
        float,
        "MiB of files above which a bundle is unusually large and a warning says why; 0: never. A file counts"
        " as 4 KiB at least.",
        zero=True,
    ),
    "cache-directory": Setting(None, str, "Where a node keeps installed bundles; read on each node."),
    "cache-size": Setting("4 GiB", str, "Size above which a node drops bundles that nobody uses."),
}


def setting(name: str) -> Any:  # noqa: ANN401 -- each caller knows the setting's type
    """Return a setting's value: from Dask's configuration, else its default.

    ``DASK_DASKBRIDGE__LOG_RATE=10`` in the environment and ``daskbridge: {log-rate: 10}`` in a YAML
    file of Dask mean the same. Raises SettingError for any unknown key and any wrong value under
    ``daskbridge:``, whichever setting is asked for: what is wrong is said before anything starts.

    >>> setting("environment-check")
    'error'
    """
    if not is_configured():
        return SETTINGS[name].default
    import dask.config

    configured = dask.config.get("daskbridge", None) or {}
    if not isinstance(configured, dict):
        msg = f"daskbridge is {configured!r}; expected settings, each with a value"
        raise SettingError(msg, hint=f"known settings: {', '.join(SETTINGS)}")
    values = {str(key).replace("_", "-"): value for key, value in configured.items()}
    for key in values:
        if key not in SETTINGS:
            raise SettingError(f"daskbridge.{key}: {unknown('setting', key, SETTINGS)}")
    checked = {key: _checked(key, value) for key, value in values.items()}
    return checked.get(name, SETTINGS[name].default)


def is_configured() -> bool:
    """Tell whether Dask can have a configuration of the user's; without importing it where it has none.

    Importing Dask takes longer than all that daskbridge does before its nodes begin to start. Dask's own
    files of defaults are nothing but comments.
    """
    if "dask.config" in sys.modules or any(variable.startswith("DASK_") for variable in os.environ):
        return True
    places = {Path("/etc"), Path(sys.prefix, "etc"), *(Path(prefix, "etc") for prefix in site.PREFIXES)}
    places.add(Path("~/.config").expanduser())
    files = (file for place in places for file in place.glob("dask/*") if file.suffix in CONFIGURATION)
    return any(line.strip() and not line.startswith("#") for file in files for line in _lines(file))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return ["Dask says what is wrong with it"]


def _checked(name: str, value: object) -> object:
    known = SETTINGS[name]
    if value is None and known.default is None:
        return None
    if isinstance(known.allowed, tuple):
        if value in known.allowed:
            return value
        expected = " or ".join(map(repr, known.allowed))
    else:
        if known.allowed is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        number = known.allowed in {int, float}
        fits = isinstance(value, known.allowed) and (known.allowed is bool or not isinstance(value, bool))
        least = " of at least 0" if known.zero else " above 0"
        if fits and not (
            number and isinstance(value, (int, float)) and (value < 0 or (value == 0 and not known.zero))
        ):
            return value
        expected = f"a value of type {known.allowed.__name__}" + (least if number else "")
    raise SettingError(f"daskbridge.{name} is {value!r}; expected {expected}", hint=known.doc)
