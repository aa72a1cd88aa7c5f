"""``daskbridge bundle build``: pack the code that would ship into a file."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import click


@click.command("build")
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The archive."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def build(directory: Path, output: Path, *, as_json: bool) -> None:
    """Pack DIRECTORY (default: the working directory) into an archive.

    It is a tar.zst where Python can write zstd, else a tar.gz.
    """
    from daskbridge.cli._line import line
    from daskbridge.code import build_bundle, project_spec
    from daskbridge.code._limits import mib, unusual
    from daskbridge.code._progress import amount
    from daskbridge.errors import BundleError

    began = time.monotonic()
    with line() as show:
        show("looking for the code that ships")
        built = build_bundle(project_spec(directory), progress=amount("packing the code", show))
        with built:
            try:
                shutil.copyfile(built.archive, output)
            except OSError as error:
                msg = f"{str(output)!r} can't be written: {error.strerror}"
                raise BundleError(msg, hint="name a file in a directory that exists") from error
    seconds, ratio = time.monotonic() - began, built.size / max(built.bytes, 1)
    if as_json:
        summary = {
            "archive": str(output),
            "format": built.format,
            "digest": built.digest,
            "files": built.files,
            "bytes": built.bytes,
            "size": built.size,
            "ratio": round(ratio, 4),
            "seconds": round(seconds, 3),
            "sha256": built.sha256,
            "sys_path": list(built.sys_path),
        }
        click.echo(json.dumps(summary, indent=2))
    else:
        sizes = f"{mib(built.bytes)}, packed {mib(built.size)} ({ratio:.0%})"
        click.echo(f"{output}: {built.files} files, {sizes}, {seconds:.2f} s, digest {built.digest}")
    for words in (unusual(built.selection), _misplaced(output, directory), _misnamed(output, built.format)):
        if words:
            click.echo(words, err=True)


def _misplaced(output: Path, directory: Path) -> str | None:
    """Say that the archive lies where the next one is made from."""
    from daskbridge.code import project_spec, scan

    place = output.resolve()
    if not place.is_relative_to(directory.resolve()):
        return None
    ships = any(Path(file.source).resolve() == place for file in scan(project_spec(directory)).files)
    return (
        f"{output} lies in {directory} and ships from now on: leave it out in .daskbridgeignore"
        if ships
        else None
    )


def _misnamed(output: Path, form: str) -> str | None:
    named = next((each for each in ("tar.gz", "tar.zst", "zip") if output.name.endswith(f".{each}")), form)
    return None if named == form else f"{output} is a {form}, whatever its name says"
