"""``daskbridge bundle cache``: which installed code this host keeps, whether it is whole, what may go."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from daskbridge.code._cached import Tree
    from daskbridge.node.install import HostCache

#: Exit code where something was damaged.
DAMAGED = 1
_DIGITS = 12


@click.command("cache")
@click.option("--verify", is_flag=True, help="Read all files, and remove damaged trees that nobody uses.")
@click.option("--clear", is_flag=True, help="Remove all that nobody uses.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(*, verify: bool, clear: bool, as_json: bool) -> None:
    """List the trees of code that this host keeps for this user: digest, files, size, last use.

    And how much it keeps of what was packed here, for the next run. Exit code 1 when --verify
    found a damaged tree, removed or not.
    """
    from daskbridge.code._cached import host_cache, trees
    from daskbridge.code._shelf import open_shelf

    host, shelf = host_cache(), open_shelf()
    found = trees(host)
    damaged = _verified(host, found) if verify else {}
    asked = [tree for tree in found if clear or tree.digest in damaged]
    removed = [tree.digest for tree in asked if host.remove(tree.digest)]
    if clear:
        host.reap()
        if shelf is not None:
            shelf.clear()
    packed = shelf.size if shelf is not None else 0
    kept = [tree for tree in found if tree.digest not in removed]
    if as_json:
        click.echo(json.dumps(_document(host, kept, packed, damaged, removed), indent=2))
    else:
        click.echo("\n".join(_lines(host, kept, packed)))
        for digest, why in damaged.items():
            click.echo(f"damaged: {digest[:_DIGITS]}: {why}")
        if verify and not damaged:
            click.echo(f"verified: {len(found)} trees are what their digests say")
        if clear or asked:
            click.echo(_cleared(host, asked, removed))
    if damaged:
        sys.exit(DAMAGED)


def _verified(host: HostCache, found: list[Tree]) -> dict[str, str]:
    from daskbridge.cli._line import line
    from daskbridge.code._cached import damage

    told: dict[str, str] = {}
    with line() as show:
        for number, tree in enumerate(found, 1):
            show(f"verifying {number} of {len(found)} trees")
            if why := damage(host, tree):
                told[tree.digest] = why
    return told


def _lines(host: HostCache, kept: list[Tree], packed: int) -> list[str]:
    from daskbridge.code._limits import mib

    rows = [("DIGEST", "FILES", "SIZE", "LAST USED", "")] if kept else []
    for tree in kept:
        count, size = ("?", "?") if tree.files is None else (str(tree.files), mib(tree.bytes or 0))
        rows.append((tree.digest[:_DIGITS], count, size, _when(tree), "in use" if tree.in_use else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    total = f"{len(kept)} trees, {mib(_total(kept))} of at most {mib(host.limit)}"
    archives = sum(tree.archive for tree in kept)
    beside = f"; archives for other nodes: {mib(archives)}" if archives else ""
    beside += f"; packed for the next run: {mib(packed)}" if packed else ""
    return [*lines, f"{host.home}: {total}{beside}"]


def _cleared(host: HostCache, asked: list[Tree], removed: list[str]) -> str:
    from daskbridge.code._limits import mib

    gone = _total([tree for tree in asked if tree.digest in removed])
    stays = [
        f"; stays: {tree.digest[:_DIGITS]}, "
        + ("a running process uses it" if host.in_use(tree.digest) else "it can't be removed")
        for tree in asked
        if tree.digest not in removed
    ]
    return f"removed: {len(removed)} trees, {mib(gone)}{''.join(stays)}"


def _document(
    host: HostCache, kept: list[Tree], packed: int, damaged: dict[str, str], removed: list[str]
) -> dict[str, object]:
    return {
        "directory": host.home,
        "limit": host.limit,
        "bytes": _total(kept),
        "trees": [
            {
                "digest": tree.digest,
                "files": tree.files,
                "bytes": tree.bytes,
                "archive": tree.archive,
                "last_used": tree.used
                and datetime.fromtimestamp(tree.used, UTC).isoformat(timespec="seconds"),
                "in_use": tree.in_use,
            }
            for tree in kept
        ],
        "packed": packed,
        "damaged": damaged,
        "removed": removed,
    }


def _total(kept: list[Tree]) -> int:
    return sum(tree.bytes or 0 for tree in kept)


def _when(tree: Tree) -> str:
    if tree.used is None:
        return "no manifest"
    return datetime.fromtimestamp(tree.used).astimezone().strftime("%Y-%m-%d %H:%M")
