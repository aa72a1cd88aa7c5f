"""Read the manifest of code where it lies: as a project, an archive, or installed in a host's cache."""

from __future__ import annotations

import os
import stat
from hashlib import file_digest, sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from daskbridge.code._manifest import Entry, Manifest
from daskbridge.errors import BundleError
from daskbridge.node.compress import CHUNK, DAMAGED, FORMATS, Plain
from daskbridge.node.tar import BLOCK, NotOurs, headers
from daskbridge.node.unpack import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daskbridge.code._scan import Selection

_FORMS = {b"\x1f\x8b": "tar.gz", b"\x28\xb5\x2f\xfd": "tar.zst"}
_DAMAGED: tuple[type[Exception], ...] = (*DAMAGED, NotOurs, UnicodeDecodeError)
#: Where Python puts byte code as it imports: beside a tree's files, and none of them.
_BYTE_CODE = "__pycache__"


def of_selection(selection: Selection) -> Manifest:
    """Return what a bundle of this selection would hold. Raises BundleError for what can't be read."""
    return Manifest(
        tuple(_entry(file.source, file.path, executable=file.executable) for file in selection.files)
    )


def of_archive(path: Path) -> Manifest:
    """Return what an archive of ``daskbridge bundle build`` holds. Raises BundleError if it is none."""
    with path.open("rb") as file:
        start = file.read(4)
        form = next((form for magic, form in _FORMS.items() if start.startswith(magic)), None)
        if form is None:
            msg = f"{str(path)!r} is no {' or '.join(_FORMS.values())} archive"
            hint = "name one that `daskbridge bundle build` made, a directory or a digest"
            raise BundleError(msg, hint=hint)
        if form not in FORMATS:
            msg = f"{str(path)!r} is a {form} archive, which this Python can't read"
            raise BundleError(msg, hint="pip install backports.zstd")
        read = Plain(chain((start,), iter(lambda: file.read(CHUNK), b""))).read
        try:
            return Manifest(tuple(_packed(read)))
        except _DAMAGED as error:
            msg = f"archive {str(path)!r} is damaged, or not one of `daskbridge bundle build`: {error}"
            raise BundleError(msg) from error


def of_tree(tree: str, digest: str) -> Manifest:
    """Return what an installed tree holds now; its digest is another one if the tree was changed.

    Byte code that Python wrote beside the modules is no change. Raises BundleError for what can't
    be read.
    """
    entries = tuple(_installed(tree))
    own = Manifest(tuple(each for each in entries if _BYTE_CODE not in each.path.split("/")))
    shipped = Manifest(entries)  # an archive that another tool packed may hold byte code
    return shipped if shipped.digest == digest else own


def _packed(read: Callable[[int], bytes]) -> Iterator[Entry]:
    for path, size, executable in headers(read):
        if not portable(path):
            raise NotOurs(f"it holds the name {path!r}")
        content, left = sha256(), size
        while left and (data := read(min(left, CHUNK))):
            content.update(data)
            left -= len(data)
        if left or len(read(-size % BLOCK)) != -size % BLOCK:
            raise EOFError("it ends too early")
        yield Entry(path, executable, size, content.digest())
    while read(CHUNK):  # what follows is zeros; its checksum comes last
        pass


def _installed(tree: str) -> Iterator[Entry]:
    for place, directories, names in os.walk(tree):
        links = [name for name in directories if Path(place, name).is_symlink()]
        for name in (*names, *links):
            source = os.path.join(place, name)  # noqa: PTH118 -- once for each of thousands of files
            path = Path(source).relative_to(tree).as_posix()
            mode = os.lstat(source).st_mode
            if stat.S_ISREG(mode):
                yield _entry(source, path, executable=bool(mode & stat.S_IXUSR))
            else:  # no tree has one: no content fits it
                yield Entry(path, executable=False, size=0, sha256=bytes(32))


def _entry(source: str, path: str, *, executable: bool) -> Entry:
    try:
        with Path(source).open("rb") as file:
            content = file_digest(file, "sha256").digest()
            return Entry(path, executable, file.tell(), content)
    except OSError as error:
        msg = f"{source!r} can't be read: {error.strerror}"
        raise BundleError(msg, hint="mend its permissions") from error
