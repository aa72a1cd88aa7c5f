"""``daskbridge doctor``: what a scheduler's nodes have beside this environment, or what this machine has."""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daskbridge.errors import ONE_IMAGE, ProvisioningError

if TYPE_CHECKING:
    from daskbridge.code._distributions import Imported
    from daskbridge.runtime._examine import Examined

#: Exit code for an environment in which something breaks.
BROKEN = 1


@click.command
@click.option("--address", help="A running scheduler, as tcp://HOST:8786. Without it, this machine.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
              help="Seconds to reach the scheduler, and as many for its answers.")  # fmt: skip
@click.option(
    "--code",
    type=click.Path(path_type=Path),
    help="Compare also what the code of this project imports.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, address: str | None, timeout: float, code: Path | None, as_json: bool) -> None:
    """Compare a running scheduler's nodes with this environment, or say what this machine has.

    Exit code 0 when nothing breaks, 1 when something does or no scheduler answers.
    """
    if address is None:
        from daskbridge.cli._machine import machine

        rows, problems = machine()
        facts: dict[str, Any] = {**dict(rows), "problems": problems}
        text = _rows(rows)
    else:
        found = _examined(address, timeout, code)
        facts, problems = _facts(found), _problems(found)
        text = f"{_rows(_summary(found))}\n\n{_table(found)}"
    click.echo(json.dumps(facts, indent=2) if as_json else text)
    if problems:
        click.echo("\n".join(["", *problems] if not as_json else problems), err=True)
        sys.exit(BROKEN)


def _examined(address: str, timeout: float, code: Path | None) -> Examined:
    from distributed.versions import VersionMismatchWarning

    from daskbridge.cluster._address import full_address
    from daskbridge.runtime._examine import examine

    address, imported = full_address(address), _imported(code)
    try:
        with warnings.catch_warnings(category=VersionMismatchWarning, action="ignore"):  # the table says it
            return asyncio.run(examine(address, timeout, imported))
    except ProvisioningError as error:
        click.echo("\n".join([f"daskbridge: {error}", *getattr(error, "__notes__", [])]), err=True)
        sys.exit(BROKEN)


def _imported(code: Path | None) -> Imported | None:
    from daskbridge.code import project_spec, scan
    from daskbridge.code._distributions import imported_distributions
    from daskbridge.plugins import plugins

    if code is None:
        return None
    return imported_distributions(scan(project_spec(code))).without(plugins().driver_only())


def _summary(found: Examined) -> list[tuple[str, str]]:
    from dask.utils import format_bytes

    states = Counter(state for state in found.workers.values() if state != "running")
    others = "".join(f", {count} {state}" for state, count in states.items())
    size = f"{found.threads} threads, {format_bytes(found.memory)}{others}" if found.workers else "none"
    secure = "TLS" if found.encrypted else "no TLS: who reaches it can read what is sent and run code there"
    return [
        ("scheduler", f"{found.address}, {secure}"),
        ("dashboard", found.dashboard.removeprefix("dashboard: ").removeprefix("no dashboard: ")),
        ("workers", f"{len(found.workers)}: {size}"),
        ("plugins", ", ".join(found.plugins) or "none of daskbridge"),
        *([("unknown", found.unanswered)] if found.unanswered else []),
    ]


def _table(found: Examined) -> str:
    compared = found.environments
    marks = dict.fromkeys(compared.differing, "differs") | dict.fromkeys(compared.breaking, "breaks pickling")
    return compared.table(compared.names, marks)


def _problems(found: Examined) -> list[str]:
    breaking = found.environments.breaking
    return [f"breaks pickling: {', '.join(breaking)}\nhint: {ONE_IMAGE}"] if breaking else []


def _facts(found: Examined) -> dict[str, Any]:
    compared = found.environments
    return {
        "address": found.address,
        "tls": found.encrypted,
        "dashboard": found.dashboard,
        "workers": found.workers,
        "threads": found.threads,
        "memory": found.memory,
        "plugins": found.plugins,
        "unknown": found.unanswered,
        "packages": {
            name: {
                "driver": compared.driver.get(name),
                "scheduler": compared.scheduler.get(name),
                "workers": {address: facts.get(name) for address, facts in compared.workers.items()},
            }
            for name in compared.names
        },
        "differs": compared.differing,
        "breaks": compared.breaking,
    }


def _rows(rows: list[tuple[str, str]]) -> str:
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"{title.ljust(width)}  {text}" for title, text in rows)
