"""`daskbridge bundle`: see and pack the code that would ship."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from daskbridge.code import CodeSpec

_DIRECTORY = click.argument("directory", default=".", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def bundle() -> None:
    """See and pack the code that ships to a cluster's nodes."""


@bundle.command("ls")
@_DIRECTORY
@click.option(
    "--all", "everything", is_flag=True, help="Also list what stays behind, each with the rule that says so."
)
@_JSON
def list_files(directory: Path, *, everything: bool, as_json: bool) -> None:
    """List what would ship from DIRECTORY (default: the working directory)."""
    from daskbridge.code import scan
    from daskbridge.code._limits import mib

    selection = scan(_spec(directory))
    if as_json:
        document: dict[str, object] = {
            "files": [
                {"path": file.path, "size": file.size, "executable": file.executable}
                for file in selection.files
            ],
            "size": selection.size,
            "sys_path": list(selection.sys_path),
        }
        if everything:
            document["left_out"] = [{"path": item.path, "reason": item.reason} for item in selection.left_out]
        click.echo(json.dumps(document, indent=2))
        return
    for file in selection.files:
        click.echo(f"{file.size:>10}  {file.path}")
    if everything:
        for item in selection.left_out:
            click.echo(f"{'-':>10}  {item.path}  ({item.reason})")
    paths = ", ".join(entry or "." for entry in selection.sys_path)
    click.echo(f"{len(selection.files)} files, {mib(selection.size)}; nodes import from: {paths}")
    if not everything:
        click.echo(f"{len(selection.left_out)} left out (--all shows why)")


@bundle.command("build")
@_DIRECTORY
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The archive."
)
@_JSON
def build(directory: Path, output: Path, *, as_json: bool) -> None:
    """Pack DIRECTORY (default: the working directory) into a tar.gz archive."""
    from daskbridge.code import build_bundle
    from daskbridge.code._limits import mib

    with build_bundle(_spec(directory)) as built:
        shutil.copyfile(built.archive, output)
        summary = {
            "archive": str(output),
            "digest": built.digest,
            "files": built.files,
            "bytes": built.bytes,
            "size": built.size,
            "sha256": built.sha256,
            "sys_path": list(built.sys_path),
        }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        sizes = f"{mib(built.bytes)}, packed {mib(built.size)}"
        click.echo(f"{output}: {built.files} files, {sizes}, digest {built.digest}")


def _spec(directory: Path) -> CodeSpec:
    from daskbridge.code import project_spec

    return project_spec(directory)
