"""``daskbridge bundle diff``: what makes two trees of code different, such as one's own and a cluster's."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from daskbridge.code._difference import Change, Difference, Side
    from daskbridge.code._manifest import Entry

#: Exit code for trees that differ, as diff(1) has it.
DIFFERENT = 1


@click.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(first: str, second: str, *, as_json: bool) -> None:
    """List the files that FIRST and SECOND do not have in common.

    Each is a project's directory, of which counts what would ship, an archive of `bundle build`, or the
    digest of a tree in this host's cache (its first digits will do). Exit code 0 when equal, 1 when not.
    """
    from daskbridge.cli._line import line
    from daskbridge.code._difference import difference, side

    with line() as show:
        show(f"reading {first}")
        before = side(first)
        show(f"reading {second}")
        after = side(second)
    found = difference(before.manifest, after.manifest)
    equal = before.manifest.digest == after.manifest.digest
    if as_json:
        click.echo(json.dumps(_document(before, after, found), indent=2))
    elif equal:
        click.echo(f"equal: {_told(before)}")
    else:
        click.echo("\n".join([f"--- {_told(before)}", f"+++ {_told(after)}", *_rows(before, after, found)]))
    for each in (before, after):
        if each.called not in {None, each.manifest.digest}:
            click.echo(
                f"{each.name} was changed in the cache: see `daskbridge bundle cache --verify`", err=True
            )
    if not equal:
        sys.exit(DIFFERENT)


def _rows(before: Side, after: Side, found: Difference) -> list[str]:
    from daskbridge.code._limits import mib

    rows = [(entry.path, f"- {entry.path}  {mib(entry.size)}{_why(after, entry)}") for entry in found.removed]
    rows += [(entry.path, f"+ {entry.path}  {mib(entry.size)}{_why(before, entry)}") for entry in found.added]
    rows += [(change.before.path, f"~ {change.before.path}  {_changed(change)}") for change in found.changed]
    counts = f"{len(found.removed)} removed, {len(found.added)} added, {len(found.changed)} changed"
    return [*(text for _, text in sorted(rows)), counts]


def _why(other: Side, entry: Entry) -> str:
    reason = other.why_not(entry.path)
    return f"  (in {other.name} {reason})" if reason else ""


def _changed(change: Change) -> str:
    from daskbridge.code._limits import mib

    before, after = change
    words = []
    if before.size != after.size:
        words.append(f"{mib(before.size)} -> {mib(after.size)}")
    elif change.content:
        words.append(f"{mib(before.size)}, other content")
    if before.executable != after.executable:
        words.append("executable now" if after.executable else "not executable any more")
    return ", ".join(words)


def _told(side: Side) -> str:
    from daskbridge.code._limits import mib

    manifest = side.manifest
    return f"{side.name}  {len(manifest.entries)} files, {mib(manifest.size)}, digest {manifest.digest}"


def _document(before: Side, after: Side, found: Difference) -> dict[str, object]:
    return {
        "equal": before.manifest.digest == after.manifest.digest,
        "first": _side(before),
        "second": _side(after),
        "removed": [_entry(after, entry) for entry in found.removed],
        "added": [_entry(before, entry) for entry in found.added],
        "changed": [
            {
                "path": change.before.path,
                "size": [change.before.size, change.after.size],
                "executable": [change.before.executable, change.after.executable],
                "content": change.content,
            }
            for change in found.changed
        ],
    }


def _entry(other: Side, entry: Entry) -> dict[str, object]:
    why = other.why_not(entry.path)
    return {"path": entry.path, "size": entry.size, "executable": entry.executable, "left_out": why}


def _side(side: Side) -> dict[str, object]:
    manifest = side.manifest
    return {
        "name": side.name,
        "kind": side.kind,
        "digest": manifest.digest,
        "files": len(manifest.entries),
        "size": manifest.size,
    }
