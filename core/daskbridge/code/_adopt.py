"""Make a bundle of an archive that another tool has packed; nothing in it is trusted."""

from __future__ import annotations

import gzip
import shutil
import sys
import tarfile
import unicodedata
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING

from daskbridge.code._bundle import pack
from daskbridge.code._limits import MAX_BYTES, MAX_FILES, mib
from daskbridge.code._project import entries_inside
from daskbridge.code._scan import Selection, refuse_collisions
from daskbridge.code._spec import Root
from daskbridge.code._walk import UNPORTABLE, File, LeftOut
from daskbridge.errors import BundleError
from daskbridge.node.compress import CHUNK
from daskbridge.node.tar import BLOCK
from daskbridge.node.unpack import portable

if TYPE_CHECKING:
    import os
    from collections.abc import Container

    from daskbridge.code._bundle import CodeBundle

_GZIP = b"\x1f\x8b"
#: What headers and padding may add to the files.
_OVERHEAD = 4 * BLOCK * MAX_FILES
#: What :mod:`tarfile` and :mod:`gzip` raise for bytes that are not what they should be.
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)


def adopt_archive(
    archive: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str],
    directory: str | os.PathLike[str] | None = None,
) -> CodeBundle:
    """Make a bundle of a tar or tar.gz that an orchestrator packed; blocks while it packs it anew.

    Every file of it ships, by no rules but its own; one whose name is not possible on every node
    is left out. ``root`` is where this process has unpacked it: nodes import from what of this
    process's ``sys.path`` lies there, and from the top of the tree. The digest is that of
    :func:`~daskbridge.code.build_bundle` for an equal tree, and ``directory`` is as there.

    Raises :class:`~daskbridge.errors.BundleError` for an archive that is missing, damaged or too
    large, and for members that are no regular files (a hard link to another member counts as
    one), lie outside or collide.

    >>> from daskbridge.code import adopt_archive, build_bundle, CodeSpec
    >>> from tempfile import mkdtemp
    >>> project = mkdtemp()
    >>> _ = Path(project, "helper.py").write_text("answer = 42")
    >>> theirs = shutil.make_archive(f"{mkdtemp()}/fast", "gztar", project)
    >>> with adopt_archive(theirs, root=project) as adopted, build_bundle(CodeSpec([project])) as built:
    ...     adopted.digest == built.digest, adopted.sys_path
    (True, ('',))
    """
    archive, root = Path(archive), Path(root).absolute()
    with TemporaryDirectory(prefix="daskbridge-adopted-") as unpacked, TemporaryFile() as plain:
        try:
            _decompress(archive, plain)
            files = _unpack(plain, Path(unpacked), str(archive))
        except _UNREADABLE as error:
            msg = f"archive {str(archive)!r} can't be unpacked: {error}"
            raise BundleError(msg, hint="pack it again with the tool that made it") from error
        selection = _selection(files, root, str(archive))
        bundle = pack(selection, (root,), directory)
    here = tuple(file._replace(source=str(root / file.path)) for file in selection.files)
    return replace(bundle, selection=replace(selection, files=here))


def _decompress(archive: Path, plain: IO[bytes]) -> None:
    with archive.open("rb") as raw:
        zipped = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        source = gzip.GzipFile(fileobj=raw) if zipped else raw
        while data := source.read(CHUNK):
            plain.write(data)
            if plain.tell() > MAX_BYTES + _OVERHEAD:
                raise _too_large(str(archive))
    plain.seek(0)


def _unpack(plain: IO[bytes], target: Path, archive: str) -> list[File]:
    """Write each file under a number, so that no name of the archive is ever one on this machine."""
    found: dict[str, File] = {}
    total = 0
    with tarfile.open(fileobj=plain, mode="r:") as tar:
        for number, member in enumerate(tar):
            name = _checked(member, archive, found)
            if member.isdir():
                continue
            if name in found:
                raise BundleError(f"archive {archive!r} holds {name!r} twice")
            first = found.get(_normal(member.linkname)) if member.islnk() else None
            total += first.size if first else member.size
            if len(found) == MAX_FILES or total > MAX_BYTES:
                raise _too_large(archive)
            if first:  # tar keeps the content of hard links once
                found[name] = first._replace(path=name)
                continue
            source = target / str(number)
            content = tar.extractfile(member)
            assert content is not None
            with source.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
            found[name] = File(name, str(source), member.size, executable=bool(member.mode & 0o100))
        plain.seek(tar.offset)
        if plain.read(BLOCK) != bytes(BLOCK):  # tarfile takes any damaged header for the end
            raise EOFError("it is cut short or damaged")
    for name in found:
        if above := next((str(place) for place in PurePosixPath(name).parents if str(place) in found), None):
            raise BundleError(f"archive {archive!r} holds {above!r} as a file and as a directory")
    return list(found.values())


def _checked(member: tarfile.TarInfo, archive: str, found: Container[str]) -> str:
    """Return the name of a member that may ship, or refuse the member."""
    path, name = PurePosixPath(member.name), member.name
    if path.is_absolute() or ".." in path.parts or not (path.name or member.isdir()):
        msg = f"archive {archive!r}: the name {name!r} is absolute, leaves the tree or is none"
        raise BundleError(msg, hint="pack files by names relative to the directory that holds them")
    twin = member.islnk() and _normal(member.linkname) in found
    if not (member.isdir() or member.isreg() or twin) or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "not a regular file"
        link = f" to {member.linkname!r}" if member.linkname else ""
        msg = f"archive {archive!r}: {name!r} is {kind}{link}"
        raise BundleError(msg, hint="leave it out, or pack what it points to")
    return _normal(name)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", str(PurePosixPath(name)))


def _selection(found: list[File], root: Path, archive: str) -> Selection:
    files = sorted((file for file in found if portable(file.path)), key=lambda file: file.path)
    left_out = sorted(file.path for file in found if not portable(file.path))
    if not files:
        msg = f"archive {archive!r} holds no file that can ship"
        raise BundleError(msg, hint="pack the modules that the task imports")
    refuse_collisions(files)
    return Selection(
        tuple(files), tuple(LeftOut(path, UNPORTABLE) for path in left_out), _sys_path(root, files)
    )


def _too_large(archive: str) -> BundleError:
    msg = f"archive {archive!r} holds more than {MAX_FILES} files or {mib(MAX_BYTES)}, the most that can ship"
    return BundleError(msg, hint="leave out of it what nodes don't import")


def _sys_path(root: Path, files: list[File]) -> tuple[str, ...]:
    held = {str(place) for file in files for place in PurePosixPath(file.path).parents}
    return Root(root, [*(entry for entry in entries_inside(root, sys.path) if entry in held), ""]).sys_path
