"""Pack a tree in one way, timed: ``python _build_jobs.py WAY TREE WARM``.

Each function imports what it needs and returns what packs a directory. That packs the small directory WARM
first, so that nothing is loaded or compiled for the first time while TREE is timed.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from _job import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    Pack = Callable[[Path, Path], dict[str, Any]]


def _daskbridge() -> Pack:
    from daskbridge.code import CodeSpec, build_bundle

    def pack(tree: Path, place: Path) -> dict[str, Any]:  # noqa: ARG001 -- a directory of its own
        with build_bundle(CodeSpec([tree])) as bundle:
            return {"bytes": bundle.size, "files": bundle.files}

    return pack


def _tar_zstd() -> Pack:
    return partial(piped, ["zstd", "-3", "--quiet"])


def piped(compress: list[str], tree: Path, place: Path) -> dict[str, Any]:
    with (place / "archive").open("wb") as archive:
        tar = subprocess.Popen(["tar", "-C", tree, "-cf", "-", "."], stdout=subprocess.PIPE)  # noqa: S603, S607 -- as written here
        with subprocess.Popen(compress, stdin=tar.stdout, stdout=archive) as compressor:  # noqa: S603 -- the same
            assert tar.stdout is not None
            tar.stdout.close()
        assert tar.wait() == compressor.returncode == 0
    return {"bytes": (place / "archive").stat().st_size}


def _flyte() -> Pack:
    from flyte._code_bundle._ignore import FlyteIgnore, GitIgnore, StandardIgnore
    from flyte._code_bundle._packaging import create_bundle, list_files_to_bundle

    def pack(tree: Path, place: Path) -> dict[str, Any]:
        ignores = (StandardIgnore, GitIgnore, FlyteIgnore)
        files, digest = list_files_to_bundle(tree, True, *ignores, copy_style="all")  # noqa: FBT003 -- as flyte calls it
        archive, _, _ = create_bundle(tree, place, files, digest, deref_symlinks=True)
        return {"bytes": archive.stat().st_size, "files": len(files)}

    return pack


def _upload_directory() -> Pack:
    from distributed.diagnostics.plugin import UploadDirectory

    def pack(tree: Path, place: Path) -> dict[str, Any]:  # noqa: ARG001 -- it packs into memory
        return {"bytes": len(UploadDirectory(str(tree)).data)}

    return pack


def _ray() -> Pack:
    from ray._private.runtime_env.packaging import create_package, get_uri_for_directory

    logging.disable()

    def pack(tree: Path, place: Path) -> dict[str, Any]:
        target = place / get_uri_for_directory(str(tree), include_gitignore=True).rpartition("/")[2]
        create_package(str(tree), target, include_gitignore=True)
        return {"bytes": target.stat().st_size}

    return pack


def _walk() -> Pack:
    def pack(tree: Path, place: Path) -> dict[str, Any]:  # noqa: ARG001 -- it only looks
        return {"bytes": 0, "files": sum(len(files) for _, _, files in os.walk(tree))}

    return pack


WAYS = {
    "daskbridge": _daskbridge,
    "tar | zstd -3": _tar_zstd,
    "UploadDirectory": _upload_directory,
    "Ray": _ray,
    "flyte": _flyte,
    "os.walk": _walk,
}


def main() -> None:
    """Pack both directories, the second one timed."""
    way, tree, warm = sys.argv[1:]
    pack = WAYS[way]()
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        pack(Path(warm), Path(first))
        tell(partial(pack, Path(tree), Path(second)))


if __name__ == "__main__":
    main()
