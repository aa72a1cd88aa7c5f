"""Find the project that a script belongs to, and refuse what can't be one."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._spec import CodeSpec, Root
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 -- named to be refused
_INSTALLED = ("site-packages", "dist-packages")


def default_spec(start: Path | None = None) -> CodeSpec:
    """Return the spec of the running script's project, or of the one that the directory ``start`` is in.

    Starts at the directory of ``__main__`` (the working directory for ``python -m``, an installed
    command, a notebook or a prompt) or at ``start``, and takes the nearest directory above it with a
    ``pyproject.toml``, ``setup.py``, ``setup.cfg``, ``.git`` or ``.hg``, else that directory. The
    nodes' ``sys.path`` gets what of this process's ``sys.path`` lies in the project, in order.
    Raises :class:`~daskbridge.errors.BundleError` where that would ship far too much.

    >>> default_spec().roots[0].path.is_dir()
    True
    """
    start = _script_directory() if start is None else start.absolute()
    return _spec(_root_of(start), [*sys.path, str(start)])


def project_spec(directory: str | os.PathLike[str]) -> CodeSpec:
    """Return the spec of the project in ``directory``; editable installs elsewhere are no part of it.

    >>> project_spec(tempfile.mkdtemp()).roots[0].sys_path
    ('',)
    """
    root = Path(directory).absolute()
    return _spec(root, [*sys.path, str(root)])


def entries_inside(root: Path, search: Iterable[str]) -> list[str]:
    """Return which directories of ``search``, read like ``sys.path``, lie in ``root``: relative, in order.

    Directories of installed packages are left out.
    """
    real, entries = root.resolve(), []
    for entry in search:
        place = Path(entry or Path.cwd()).resolve()
        if place.is_dir() and place.is_relative_to(real) and not is_installed(place):
            entries.append(place.relative_to(real).as_posix())
    return entries


def refuse(root: Path) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` if ``root`` is missing or can't be one project."""
    if not root.is_dir():
        msg = f"code root {str(root)!r} is not a directory"
        raise BundleError(msg, hint="name the directory that holds your modules")
    real, home = root.resolve(), _home()
    for wide, what in _too_wide():
        if real == wide or (wide == home and home.is_relative_to(real)):
            above = "" if real == wide else "above "
            msg = f"code root {str(root)!r} is {above}{what}: far more than a project would ship"
            raise BundleError(msg, hint="put the script into a directory of its own, or name one as code=")
    if not set(_INSTALLED).isdisjoint(real.parts):
        msg = f"code root {str(root)!r} holds installed packages, which belong into the nodes' image"
        raise BundleError(msg, hint="name the directory that holds your own modules")


def is_too_wide(root: Path) -> bool:
    """Tell whether a directory can't be one project, as the home directory and what lies above it."""
    try:
        refuse(root)
    except BundleError:
        return True
    return False


def _too_wide() -> list[tuple[Path, str]]:
    temporary = {Path(place).resolve() for place in (tempfile.gettempdir(), *_TEMPORARY)}
    return [
        (Path(_home().anchor), "the root directory"),
        (_home(), "the home directory"),
        *((place, "the temporary directory") for place in sorted(temporary)),
    ]


def _home() -> Path:
    return Path("~").expanduser().resolve()


def _script_directory() -> Path:
    directory = _started_from()
    return Path.cwd() if directory is None or is_installed(directory) else directory


def is_command() -> bool:
    """Tell whether this process runs an installed command, whose code may be anywhere."""
    directory = _started_from()
    return directory is not None and is_installed(directory)


def _started_from() -> Path | None:
    """Return the directory of the file that runs, or None where Python was given something else."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return None
    return Path(file).absolute().parent


def _root_of(start: Path) -> Path:
    stop = {wide for wide, _ in _too_wide()}
    for place in (start, *start.parents):
        if place.resolve() in stop:
            break
        if any((place / marker).exists() for marker in _MARKERS):
            return place
    return start


def _spec(root: Path, search: list[str]) -> CodeSpec:
    from daskbridge.code._layout import with_finders

    entries = entries_inside(root, search)
    if (root / "src").is_dir() and not (root / "src" / "__init__.py").exists():
        entries.append("src")
    return with_finders(CodeSpec([Root(root, entries)]))


def is_installed(place: Path) -> bool:
    """Tell whether a directory belongs to an environment or to Python itself, where no project is.

    What lies there comes with the nodes' image and does not ship. Looks for a ``pyvenv.cfg`` above.

    >>> import email
    >>> is_installed(Path(email.__file__).parent), is_installed(Path(tempfile.mkdtemp()))
    (True, False)
    """
    kinds = ("scripts", "stdlib", "platstdlib")
    if any(
        place == path or path in place.parents for path in (Path(sysconfig.get_path(kind)) for kind in kinds)
    ):
        return True
    if not set(_INSTALLED).isdisjoint(place.parts):
        return True
    return any((above / "pyvenv.cfg").exists() for above in (place, *place.parents))
