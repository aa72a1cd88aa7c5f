"""How much a bundle may hold, and what to tell when it holds more."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

from daskbridge.code._weight import Part, by_size, by_weight, data, directories
from daskbridge.errors import BundleError
from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daskbridge.code._bundle import CodeBundle
    from daskbridge.code._scan import Selection
    from daskbridge.code._spec import CodeSpec
    from daskbridge.code._walk import File

MAX_FILES = 50_000
MAX_BYTES = 512 << 20
#: A larger archive needs a store: the scheduler would be busy sending it.
MAX_ARCHIVE = 64 << 20
#: How many names an error lists, and a warning.
_SHOWN, _FEW = 5, 3
_ADVICE = (
    "leave out in .daskbridgeignore (gitignore patterns) what nodes don't import; see `daskbridge bundle ls`"
)
_ANY_TOOL = "leave out what nodes don't import, in .daskbridgeignore or where another tool packs it"


def check_selection(spec: CodeSpec, selection: Selection) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` if a selection is empty or too large."""
    roots = ", ".join(str(root.path) for root in spec.roots) or "none"
    if not selection.files:
        left_out = "; ".join(f"{item.path} ({item.reason})" for item in selection.left_out[:_SHOWN])
        msg = f"no file ships from the roots {roots}; left out: {left_out or 'nothing'}"
        raise BundleError(msg, hint="name the directory of your modules, or bring files back with include=")
    if len(selection.files) > MAX_FILES:
        most = directories(selection.files, lambda _: 1)[:_SHOWN]
        places = ", ".join(f"{part.name} ({part.files})" for part in most) or "no directory"
        count = len(selection.files)
        msg = f"{count} files would ship from {roots}, at most {MAX_FILES} can; most are in {places}"
        raise BundleError(msg, hint=_ADVICE)
    if selection.size > MAX_BYTES:
        given, limit = mib(selection.size), mib(MAX_BYTES)
        msg = f"{given} would ship from {roots}, at most {limit} can; largest: {largest(selection.files)}"
        raise BundleError(msg, hint=_ADVICE)


def check_archive(size: int, selection: Selection, *, store: bool) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` if an archive is too large for the scheduler."""
    if size > MAX_ARCHIVE and not store:
        msg = (
            f"the archive has {mib(size)}, at most {mib(MAX_ARCHIVE)} go through the scheduler; "
            f"largest: {largest(selection.files)}"
        )
        raise BundleError(msg, hint=f"{_ANY_TOOL}; or set daskbridge.bundle-store, where nodes then fetch it")


def unusual(selection: Selection) -> str | None:
    """Say that a selection is large for code, what makes it so and what to do; None if it is not.

    The bound is the setting ``bundle-warn``.
    """
    files, bound = selection.files, setting("bundle-warn") * (1 << 20)
    if not bound or sum(map(by_weight, files)) <= bound:
        return None
    told = [f"the code is large: {len(files)} files, {mib(selection.size)}"]
    kinds = data(files)
    in_data = sum(kind.size for kind in kinds)
    if 2 * in_data > selection.size:
        told.append(f"{mib(in_data)} of it are data: {_counted(kinds)}")
    if most := directories(files, by_weight):
        told.append(f"largest directories: {_counted(most)}")
    told.append(f"largest files: {_counted(largest_files(files))}")
    return f"{'; '.join(told)}. To ship less, {_ANY_TOOL}; the setting daskbridge.bundle-warn is the bound"


def refuse_directory(bundle: CodeBundle) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` for a working directory on nodes that others use, too."""
    if bundle.selection.working_directory is not None:
        msg = "CodeSpec(working_directory=True) is for a cluster of one's own: others use this one, too"
        hint = "give tasks absolute names, read data relative to __file__, or use a cluster of your own"
        raise BundleError(msg, hint=hint)


def largest(files: Sequence[File]) -> str:
    """Name the largest files and the largest directories."""
    parts = [*largest_files(files), *directories(files, by_size)[:_SHOWN]]
    return ", ".join(f"{part.name} ({mib(part.size)})" for part in parts)


def largest_files(files: Iterable[File]) -> list[Part]:
    """Return the largest files."""
    return [Part(file.path, 1, file.size) for file in nlargest(_SHOWN, files, key=by_size)]


def mib(size: int) -> str:
    """Word a number of bytes.

    >>> mib(1 << 19), mib(1000)
    ('0.5 MiB', '1000 B')
    """
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 16 else f"{size} B"


def _counted(parts: Sequence[Part]) -> str:
    shown = (f"{part.files} files, {mib(part.size)}" if part.files > 1 else mib(part.size) for part in parts)
    return ", ".join(f"{part.name} ({what})" for part, what in list(zip(parts, shown, strict=True))[:_FEW])
