"""Pack a tree, or unpack it, timed: ``python _install_jobs.py WAY pack|unpack TREE PACKED WARM [TARGET]``.

Each function gets ready to unpack what PACKED holds and returns what does it. The small directory WARM is
packed and unpacked first, so that nothing is loaded for the first time while the clock runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from _build_jobs import WAYS as BUILDS
from _build_jobs import piped
from _job import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Unpack = Callable[[Path], object]

CHUNK = 1 << 20


def pack(way: str, tree: Path, packed: Path) -> None:
    """Put what ``way`` unpacks into the directory ``packed``."""
    if way == "daskbridge":
        from daskbridge.code import CodeSpec, build_bundle

        bundle = build_bundle(CodeSpec([tree]), directory=packed)
        about = {"archive": str(bundle.archive), "reference": bundle.reference}
        (packed / "about").write_text(json.dumps(about))
    elif way == "UploadDirectory":
        from distributed.diagnostics.plugin import UploadDirectory

        (packed / "archive").write_bytes(UploadDirectory(str(tree)).data)
    elif way == "flyte":
        BUILDS[way]()(tree, packed)
    elif way != "write only":
        piped(["zstd", "-3", "--quiet"] if "zstd" in way else ["gzip", "-6"], tree, packed)


def _daskbridge(tree: Path, packed: Path) -> Unpack:  # noqa: ARG001 -- all ways are called alike
    from daskbridge.node.install import HostCache

    about = json.loads((packed / "about").read_text())

    def read() -> Iterator[bytes]:
        with open(about["archive"], "rb") as file:  # noqa: PTH123 -- as nodes do it
            while data := file.read(CHUNK):
                yield data

    def unpack(target: Path) -> None:
        os.close(HostCache(str(target)).install(about["reference"], [("driver", read)]).lease)

    return unpack


def _write_only(tree: Path, packed: Path, *, check: bool = False) -> Unpack:
    """Write from memory; with ``check`` also do what nobody is spared who checks what he unpacks."""
    held = {str(file.relative_to(tree)): file.read_bytes() for file in tree.rglob("*") if file.is_file()}

    def unpack(target: Path) -> None:
        made: set[str] = set()
        if check:
            subprocess.run(["zstd", "-dcq", packed / "archive"], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 -- as written here
        for name, data in held.items():
            if check:
                sha256(data).digest()
            parent = os.path.join(target, os.path.dirname(name))  # noqa: PTH118, PTH120 -- pathlib costs more
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103 -- the same
                made.add(parent)
            handle = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)  # noqa: PTH118 -- the same
            os.write(handle, data)
            os.close(handle)

    return unpack


def _tar(tree: Path, packed: Path, option: str) -> Unpack:  # noqa: ARG001 -- all ways are called alike
    def unpack(target: Path) -> None:
        subprocess.run(["tar", option, "-xf", packed / "archive", "-C", target], check=True)  # noqa: S603, S607 -- as written here

    return unpack


def _flyte(tree: Path, packed: Path) -> Unpack:  # noqa: ARG001 -- all ways are called alike
    from flyte._code_bundle.bundle import download_bundle
    from flyte.models import CodeBundle

    (archive,) = packed.glob("*.tar.gz")

    def unpack(target: Path) -> None:
        bundle = CodeBundle(tgz=str(archive), destination=str(target), computed_version="1")
        asyncio.run(download_bundle(bundle))

    return unpack


def _upload_directory(tree: Path, packed: Path) -> Unpack:
    from distributed.diagnostics.plugin import _extract_data

    data = (packed / "archive").read_bytes()
    return lambda target: _extract_data(str(target), tree.name, data, update_path=False)


WAYS = {
    "daskbridge": _daskbridge,
    "write only": _write_only,
    "write, hash, zstd": partial(_write_only, check=True),
    "tar -x --zstd": partial(_tar, option="--zstd"),
    "tar -xz": partial(_tar, option="-z"),
    "UploadDirectory": _upload_directory,
    "flyte": _flyte,
}


def main() -> None:
    """Pack, or unpack with a clock."""
    way, what, *given = sys.argv[1:]
    tree, packed, warm, *target = map(Path, given)
    if what == "pack":
        pack(way, tree, packed)
        return
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        pack(way, warm, Path(first))
        WAYS[way](warm, Path(first))(Path(second))
    unpack = WAYS[way](tree, packed)
    tell(lambda: unpack(target[0]) or {})
    found = sum(len(files) for _, _, files in os.walk(target[0]))
    print("TOLD", json.dumps({"files": found}), flush=True)


if __name__ == "__main__":
    main()
