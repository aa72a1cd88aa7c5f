"""Put the commands together, and turn errors into words and an exit code."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

import click

from daskbridge.errors import DaskbridgeError

#: Exit code for what was asked wrongly, as click's own.
USAGE = 2
#: Exit code for all that is not the command's own where a command is run, as docker's and timeout's.
NOT_THE_COMMANDS = 125
#: A shell's exit code for what was interrupted.
INTERRUPTED = 128 + signal.SIGINT

COMMANDS = {
    "bundle": "daskbridge.cli._bundle:bundle",
    "doctor": "daskbridge.cli._doctor:doctor",
    "plugins": "daskbridge.cli._plugins:plugins",
    "render": "daskbridge.cli._topology:render",
    "run": "daskbridge.cli._run:run",
    "schema": "daskbridge.cli._topology:schema",
    "validate": "daskbridge.cli._topology:validate",
}


class Commands(click.Group):
    """Load a command when it is called, and say a DaskbridgeError instead of tracing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- click's signature
        """Run the command; the exit codes of ``run`` must not look like those of what it runs."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.show()
            sys.exit(_failed(ctx))
        except DaskbridgeError as error:
            notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", []))
            click.echo(f"daskbridge: {type(error).__name__}: {error}{notes}", err=True)
            sys.exit(_failed(ctx))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _failed(ctx: click.Context) -> int:
    return NOT_THE_COMMANDS if ctx.invoked_subcommand == "run" else USAGE


@click.command("bridge", cls=Commands)
@click.version_option(package_name="daskbridge", prog_name="daskbridge")
def cli() -> None:
    """Bring a transient Dask cluster, with your code on every node, to any command or workflow."""


def main() -> None:
    """Run the command line; the entry point of ``daskbridge``."""
    cli(prog_name="daskbridge")
