"""`daskbridge bundle`: see, pack and compare the code that ships, and look into this host's cache."""

from __future__ import annotations

import click

from daskbridge.cli._bundle_build import build
from daskbridge.cli._bundle_cache import cache
from daskbridge.cli._bundle_diff import diff
from daskbridge.cli._bundle_ls import list_files


@click.group()
def bundle() -> None:
    """See, pack and compare the code that ships to a cluster's nodes."""


for command in (build, cache, diff, list_files):
    bundle.add_command(command)
