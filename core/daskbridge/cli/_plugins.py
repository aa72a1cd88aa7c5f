"""``daskbridge plugins``: what is installed, what it provides, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(*, as_json: bool) -> None:
    """List the plugins of this environment: name, distribution, version, status, what each provides."""
    from daskbridge.plugins import plugins as installed

    listing = installed().listing()
    if as_json:
        click.echo(json.dumps([asdict(info) for info in listing], indent=2))
        return
    rows = [("NAME", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES")]
    rows += [
        (info.name, info.distribution, info.version, info.status, ", ".join(info.provides) or info.error)
        for info in listing
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
