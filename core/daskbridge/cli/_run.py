"""``daskbridge run``: a cluster for any command; the adapter for everything that has none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: What is passed on to the command. SIGKILL can't be; SIGCHLD and job control are the shell's.
PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
#: A shell's exit code for a command that could not be found.
NOT_FOUND = 127


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--cluster", "file", type=click.Path(path_type=Path), required=True, help="Topology: JSON or YAML.")
@click.option("--provisioner", help="Provisioner by name (see 'daskbridge plugins').")
@click.option("--code", type=click.Path(path_type=Path), help="Project to ship; by default that of this directory.")
@click.option("--no-code", is_flag=True, help="Ship nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's steps as JSON on stderr at the end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    *, file: Path, provisioner: str | None, code: Path | None, no_code: bool, as_json: bool, command: tuple[str, ...]
) -> None:
    """Start COMMAND with a cluster that a bare Client() reaches, and end the cluster with it.

    Signals are passed to COMMAND; its exit code becomes this command's (128 + n if signal n ended it).
    """
    import dask.config

    from daskbridge import load, transient
    from daskbridge.code import project_spec

    topology = load(file)
    if shutil.which(command[0]) is None:
        click.echo(f"daskbridge: {command[0]!r} is not a command here", err=True)
        sys.exit(NOT_FOUND)
    source = False if no_code else project_spec(code or Path.cwd())
    with dask.config.set({"daskbridge.display": "off" if as_json else dask.config.get("daskbridge.display", "on")}):
        with transient(topology, provisioner=provisioner, code=source, name=Path(command[0]).name) as cluster:
            exit_code = _call(command, cluster.scheduler_address)
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps({"exit_code": exit_code, "steps": [asdict(step) for step in cluster.timeline]}), err=True)
    sys.exit(exit_code)


def _call(command: tuple[str, ...], address: str) -> int:
    environ = os.environ | {"DASK_SCHEDULER_ADDRESS": address}
    process = subprocess.Popen(command, env=environ, process_group=0)  # noqa: S603 -- it is the user's own
    with _terminal_of(process.pid), _passing_signals(process):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _passing_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def pass_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _terminal_of(group: int) -> Iterator[None]:
    """Give the terminal to the command's process group, so that it may read it and gets Ctrl-C."""
    if not sys.stdin.isatty() or os.tcgetpgrp(0) != os.getpgrp():
        yield
        return
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
    try:
        yield
    finally:
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, ignored)
