"""``daskbridge run``: a cluster for any command; the adapter for everything that has none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from daskbridge.code import Root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from daskbridge.code import CodeSpec

#: What is passed on to the command. SIGKILL can't be; SIGCHLD and job control are the shell's.
PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
#: A shell's exit codes for a command that can't be executed, and for one that could not be found.
NOT_EXECUTABLE, NOT_FOUND = 126, 127


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--cluster", "file", type=click.Path(path_type=Path), required=True, help="Topology: JSON or YAML."
)
@click.option("--provisioner", help="Provisioner by name (see 'daskbridge plugins').")
@click.option(
    "--code", type=click.Path(path_type=Path), help="Project to ship; by default that of this directory."
)
@click.option("--no-code", is_flag=True, help="Ship nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's steps as JSON on stderr at the end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(  # noqa: PLR0913 -- each is an option of the command
    *,
    file: Path,
    provisioner: str | None,
    code: Path | None,
    no_code: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Start COMMAND with a cluster that a bare Client() reaches, and end the cluster with it.

    Signals are passed to COMMAND; its exit code becomes this command's (128 + n if signal n ended it).
    A failure that is not COMMAND's is 125. When the cluster is lost, COMMAND gets SIGTERM.
    """
    import dask.config

    from daskbridge import load, transient

    topology = load(file)
    if shutil.which(command[0]) is None:
        click.echo(f"daskbridge: {command[0]!r} is not a command here", err=True)
        sys.exit(NOT_FOUND)
    source = False if no_code else _source(code, command)
    display = "off" if as_json else dask.config.get("daskbridge.display", "on")
    with (
        dask.config.set({"daskbridge.display": display}),
        _Signals() as signals,
        transient(
            topology,
            provisioner=provisioner,
            code=source,
            name=Path(command[0]).name,
            on_interrupt=lambda: signals.give(signal.SIGTERM),
        ) as cluster,
    ):
        exit_code = _call(command, cluster.environment(), signals)
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(
            json.dumps({"exit_code": exit_code, "steps": [asdict(step) for step in cluster.timeline]}),
            err=True,
        )
    sys.exit(exit_code)


def _source(code: Path | None, command: tuple[str, ...]) -> CodeSpec:
    """Return the project; a script's directory is first on the nodes' path, as Python has it."""
    from daskbridge.code import project_spec
    from daskbridge.code._project import refuse
    from daskbridge.errors import BundleError

    spec = project_spec(code or Path.cwd())
    try:
        refuse(spec.roots[0].path)
    except BundleError as error:
        raise BundleError(
            str(error), hint="name the project's directory with --code, or use --no-code"
        ) from error
    root = spec.roots[0]
    for argument in command:
        directory = Path(argument).absolute().parent
        if argument.endswith(".py") and Path(argument).is_file() and directory.is_relative_to(root.path):
            entry = directory.relative_to(root.path).as_posix()
            return replace(spec, roots=(Root(root.path, (entry, *root.sys_path)), *spec.roots[1:]))
    return spec


def _call(command: tuple[str, ...], environ: dict[str, str], signals: _Signals) -> int:
    signals.hold()
    try:
        process = subprocess.Popen(command, env=os.environ | environ, process_group=0)  # noqa: S603 -- it is the user's own
    except OSError as error:
        click.echo(f"daskbridge: {command[0]!r} can't be executed: {error.strerror}", err=True)
        return NOT_EXECUTABLE
    with _terminal_of(process.pid):
        signals.pass_to(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


class _Signals:
    """Pass signals on to the command, from before it is there until the cluster is gone.

    Later ones find no command and change nothing: the end is under way. What is ignored already,
    as under nohup, stays so.
    """

    def __init__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in PASSED}
        self._waiting: deque[int] = deque()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Keep what arrives from now on, for the command that is about to start."""
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._arrived)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        """Give the command's process group what was kept, and from now on all that arrives."""
        self._process = process
        self._pass()

    def give(self, number: int) -> None:
        """Give the command's process group a signal now, or as soon as it is there; from any thread."""
        self._waiting.append(number)
        if self._process is not None:
            self._pass()

    def _arrived(self, number: int, _: FrameType | None) -> None:
        self.give(number)

    def _pass(self) -> None:
        with suppress(IndexError):  # another thread may take the last one
            while True:
                self._send(self._waiting.popleft())

    def _send(self, number: int) -> None:
        process = self._process
        if process is not None and process.returncode is None:  # else its number may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)


@contextmanager
def _terminal_of(group: int) -> Iterator[None]:
    """Give the terminal to the command's process group, so that it may read it and gets Ctrl-C."""
    if not os.isatty(0) or os.tcgetpgrp(0) != os.getpgrp():
        yield
        return
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
    os.killpg(group, signal.SIGCONT)  # a quick one was stopped when it read too early
    try:
        yield
    finally:
        with suppress(OSError):  # the terminal may be gone
            os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, ignored)
