"""How much a bundle may hold, and what to tell when it holds more."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daskbridge.code._scan import Selection
    from daskbridge.code._spec import CodeSpec
    from daskbridge.code._walk import File

MAX_FILES = 50_000
MAX_BYTES = 512 << 20
#: A larger archive needs a store: the scheduler would be busy sending it.
MAX_ARCHIVE = 64 << 20
_SHOWN = 5
_ADVICE = (
    "leave out in .daskbridgeignore (gitignore patterns) what nodes don't import; see `daskbridge bundle ls`"
)


def check_selection(spec: CodeSpec, selection: Selection) -> None:
    """Raise :class:`~daskbridge.errors.BundleError` if a selection is empty or too large."""
    roots = ", ".join(str(root.path) for root in spec.roots) or "none"
    if not selection.files:
        left_out = "; ".join(f"{item.path} ({item.reason})" for item in selection.left_out[:_SHOWN])
        msg = f"no file ships from the roots {roots}; left out: {left_out or 'nothing'}"
        raise BundleError(msg, hint="name the directory of your modules, or bring files back with include=")
    if len(selection.files) > MAX_FILES:
        count, most = len(selection.files), _most(selection.files)
        msg = f"{count} files would ship from {roots}, at most {MAX_FILES} can; most are in {most}"
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
        advice = "leave out what nodes don't import, in .daskbridgeignore or where another tool packs it"
        raise BundleError(msg, hint=f"{advice}; or set daskbridge.bundle-store, where nodes then fetch it")


def largest(files: Sequence[File]) -> str:
    """Name the largest files and the largest directories at the top."""
    shown = [f"{file.path} ({mib(file.size)})" for file in sorted(files, key=lambda f: -f.size)[:_SHOWN]]
    sizes = Counter[str]()
    for file in files:
        if "/" in file.path:
            sizes[file.path.partition("/")[0] + "/"] += file.size
    return ", ".join(shown + [f"{name} ({mib(size)})" for name, size in sizes.most_common(_SHOWN)])


def mib(size: int) -> str:
    """Word a number of bytes.

    >>> mib(1 << 19), mib(1000)
    ('0.5 MiB', '1000 B')
    """
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 16 else f"{size} B"


def _most(files: Sequence[File]) -> str:
    counts = Counter(file.path.rpartition("/")[0] + "/" for file in files)
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(_SHOWN))
