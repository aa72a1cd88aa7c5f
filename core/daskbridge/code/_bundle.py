"""Pack the code of a spec into an archive that every node installs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._archive import write_archive
from daskbridge.code._limits import check_selection
from daskbridge.code._scan import Selection, scan
from daskbridge.code._shelf import open_shelf
from daskbridge.node.compress import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from daskbridge.code._manifest import Manifest
    from daskbridge.code._spec import CodeSpec
    from daskbridge.node.unpack import Reference


@dataclass(frozen=True)
class CodeBundle:
    """Hold a packed tree; as a context manager, or by ``close()``, its archive goes away again.

    ``digest`` names the tree and is equal for equal trees; ``sha256`` is of the archive, ``size``
    its bytes and ``bytes`` those of the unpacked files. ``sys_path`` is relative to the tree.
    ``url`` is where :func:`~daskbridge.code.publish` has put it.
    """

    archive: Path
    sha256: str
    size: int
    manifest: Manifest = field(repr=False)
    selection: Selection = field(repr=False)
    roots: tuple[Path, ...]
    format: str
    url: str | None = field(default=None, repr=False)
    _directory: Path | None = field(default=None, repr=False)
    _lease: list[int] = field(default_factory=list, repr=False)

    @property
    def digest(self) -> str:
        """Return the name of the tree."""
        return self.manifest.digest

    @property
    def files(self) -> int:
        """Return the number of files."""
        return len(self.selection.files)

    @property
    def bytes(self) -> int:
        """Return the size of all files, unpacked."""
        return self.manifest.size

    @property
    def sys_path(self) -> tuple[str, ...]:
        """Return which directories of the tree nodes import from, in order."""
        return self.selection.sys_path

    @property
    def reference(self) -> Reference:
        """Return all that travels inside the plugins."""
        return {
            "digest": self.digest,
            "format": self.format,
            "size": self.size,
            "files": self.files,
            "bytes": self.bytes,
            "sys_path": list(self.sys_path),
            "working_directory": self.selection.working_directory,
            "url": self.url,
        }

    def close(self) -> None:
        """Let the archive go, unless its directory was the caller's."""
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
        with suppress(IndexError):
            os.close(self._lease.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def build_bundle(
    spec: CodeSpec,
    *,
    directory: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CodeBundle:
    """Select and pack the code of ``spec``; blocks while it reads every file that ships once.

    Nothing is read and packed again if no file was written to since the last time. The archive
    goes into ``directory``, or into the user's cache, where the bundle's ``close()`` lets it be
    removed. While it packs, ``progress(done, total)`` is called with bytes of files, about once a
    MiB. Raises :class:`~daskbridge.errors.BundleError` for roots that are refused, for a bundle
    that is empty or too large, and for files that can't be read.

    >>> from daskbridge.code import CodeSpec
    >>> project = tempfile.mkdtemp()
    >>> _ = Path(project, "helper.py").write_text("answer = 42")
    >>> with build_bundle(CodeSpec([project])) as bundle:
    ...     bundle.digest[:12], bundle.files
    ('f695a23b5a42', 1)
    """
    since = time.time_ns()
    selection = scan(spec)
    check_selection(spec, selection)
    roots = tuple(root.path for root in spec.roots)
    told = _of(selection.size, progress)
    shelf = None if directory else open_shelf()
    if shelf is not None:
        about = "\n".join([*map(str, roots), *spec.modules])
        with suppress(OSError):  # a full disk, or one that became read-only: it goes where there is place
            packed = shelf.pack(about, selection, since, told)
            return CodeBundle(
                packed.archive,
                packed.sha256,
                packed.size,
                packed.manifest,
                selection,
                roots,
                packed.form,
                _lease=[packed.lease],
            )
    return pack(selection, roots, directory, told)


def pack(
    selection: Selection,
    roots: tuple[Path, ...],
    directory: str | os.PathLike[str] | None,
    progress: Callable[[int], None] | None = None,
) -> CodeBundle:
    """Write the archive of what was selected in ``roots``, as :func:`build_bundle` says."""
    private = None if directory else Path(tempfile.mkdtemp(prefix="daskbridge-bundle-"))
    form = FORMATS[0]
    target = Path(private or directory or "") / f"code.{form}"
    try:
        with target.open("wb", buffering=0) as raw:
            manifest, checksum = write_archive(selection.files, raw, form, progress)
    except BaseException:
        if private:
            shutil.rmtree(private, ignore_errors=True)
        raise
    size = target.stat().st_size
    return CodeBundle(target, checksum, size, manifest, selection, roots, form, _directory=private)


def _of(total: int, progress: Callable[[int, int], None] | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(min(done, total), total)
