"""``daskbridge bundle ls``: what would ship, what stays behind and why, and what makes it big."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daskbridge.code import CodeSpec, File, LeftOut, Selection
    from daskbridge.code._weight import Part

#: How many secrets that stay behind are named without ``--all``; from how many files on a summary helps.
_SECRETS, _MANY = 20, 10


@click.command("ls")
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also list what stays behind, each with the rule that says so.",
)
@click.option(
    "--sort",
    type=click.Choice(["path", "size"]),
    default="path",
    metavar="ORDER",
    help="Order of the files: path, or size for the largest first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_files(directory: Path, *, everything: bool, sort: str, as_json: bool) -> None:
    """List what would ship from DIRECTORY (default: the working directory).

    Names that look like secrets and stay behind for that are always listed. A run also ships editable
    installs outside of DIRECTORY of which the program has loaded something.
    """
    from daskbridge.code import project_spec, scan

    spec = project_spec(directory)
    selection = scan(spec)
    files = sorted(selection.files, key=lambda file: -file.size) if sort == "size" else selection.files
    verdict = _verdict(spec, selection)
    if as_json:
        click.echo(json.dumps(_document(selection, files, verdict), indent=2))
        return
    for file in files:
        click.echo(f"{file.size:>10}  {file.path}")
    secrets = [item for item in selection.left_out if _secret(item)]
    for item in selection.left_out if everything else secrets[:_SECRETS]:
        click.echo(f"{'-':>10}  {item.path}  ({item.reason})")
    click.echo("\n".join(_summary(selection, len(secrets))))
    if verdict:
        click.echo(verdict, err=True)


def _summary(selection: Selection, secrets: int) -> list[str]:
    from daskbridge.code._limits import largest_files, mib
    from daskbridge.code._weight import by_size, directories

    files, left_out = selection.files, len(selection.left_out)
    lines = []
    if len(files) > _MANY:
        lines += ["largest directories:", *_rows(directories(files, by_size), selection.size)]
        lines += ["largest files:", *_rows(largest_files(files), selection.size)]
    paths = ", ".join(entry or "." for entry in selection.sys_path)
    lines.append(f"{len(files)} files, {mib(selection.size)}; nodes import from: {paths}")
    told = f", {secrets} of them as secrets" if secrets else ""
    lines.append(f"{left_out} left out{told} (--all shows why)" if left_out else "nothing left out")
    return lines


def _rows(parts: Sequence[Part], total: int) -> list[str]:
    return [
        f"{part.size:>10}  {part.size / max(total, 1):>4.0%}  {part.name}"
        + (f"  ({part.files} files)" if part.files > 1 else "")
        for part in parts
    ]


def _verdict(spec: CodeSpec, selection: Selection) -> str | None:
    """Say what a run would say of this selection's size."""
    from daskbridge.code._limits import check_selection, unusual
    from daskbridge.errors import BundleError

    try:
        check_selection(spec, selection)
    except BundleError as error:
        return f"no run would ship this: {error}"
    words = unusual(selection)
    return f"each run warns: {words}" if words else None


def _document(selection: Selection, files: Sequence[File], verdict: str | None) -> dict[str, object]:
    from daskbridge.code._weight import by_size, directories

    return {
        "files": [
            {"path": file.path, "size": file.size, "executable": file.executable} for file in files
        ],
        "size": selection.size,
        "sys_path": list(selection.sys_path),
        "left_out": [
            {"path": item.path, "reason": item.reason, "secret": _secret(item)} for item in selection.left_out
        ],
        "largest_directories": [
            {"name": part.name, "files": part.files, "size": part.size}
            for part in directories(selection.files, by_size)
        ],
        "warning": verdict,
    }  # fmt: skip


def _secret(item: LeftOut) -> bool:
    return item.reason.startswith("secrets: ")
