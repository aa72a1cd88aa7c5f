"""``daskbridge run``: any command gets a cluster, and nothing is left of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from daskbridge.cli._run import _Signals

LONG = 60
DASKBRIDGE = Path(sys.executable).with_name("daskbridge")
RUN = [DASKBRIDGE, "run", "--cluster", "cluster.yaml", "--no-code"]
STEPS = ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]
JOB = """
import os, sys
import helper  # from the project, which is gone before the cluster needs it
here = os.getcwd()
os.rename(here, here + "-renamed")
from distributed import Client
with Client() as client:
    print(client.submit(helper.double, 21).result())
sys.exit(7)
"""
#: Ends by itself with 3 when it is interrupted, even as soon as it is ready.
WAITING = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("ready", flush=True)
signal.sigwait({signal.SIGINT})
sys.exit(3)
"""


def test_a_bare_client_reaches_a_cluster_that_has_the_projects_code(project):
    project.write("helper.py", "def double(x):\n    return 2 * x\n")
    project.write("job.py", JOB)

    done = project.run("run", "--cluster", "cluster.yaml", "--json", sys.executable, "job.py")

    assert (done.stdout, done.returncode) == ("42\n", 7), done.stderr
    assert project.left() == []
    (report,) = done.stderr.splitlines()
    said = json.loads(report)
    assert said["exit_code"] == 7
    assert [step["name"] for step in said["steps"]] == STEPS
    assert {step["state"] for step in said["steps"]} == {"done"}


@pytest.mark.parametrize(
    ("number", "command", "code"),
    [
        (signal.SIGTERM, ["sh", "-c", '"$0" job.py; exit 0', sys.executable], 143),
        (signal.SIGINT, [sys.executable, "job.py"], 3),
    ],
    ids=["SIGTERM to a shell and what it started", "SIGINT that the command handles"],
)
def test_a_signal_is_passed_to_the_command_and_the_cluster_ends(project, number, command, code):
    project.write("job.py", WAITING)

    with project.started(*RUN, *command) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(project.processes()) >= 5, "daskbridge, scheduler, nanny, worker and the command"
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG)

    assert process.returncode == code, said
    assert project.left() == []
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (signal.SIGTERM, "check"),
        (signal.SIGTERM, "provision"),
        (signal.SIGTERM, "ready"),
        (signal.SIGINT, "check"),
    ],
    ids=["SIGTERM while it starts", "SIGTERM while it connects", "SIGTERM as the command starts", "SIGINT"],
)
def test_a_signal_while_the_cluster_starts_ends_it_cleanly(project, number, step):
    with project.started(*RUN, "sh", "-c", "sleep 1000; exit 0") as process:
        for line in process.stderr:
            if f": {step} " in line:
                break
        process.send_signal(number)
        printed, said = process.communicate(timeout=LONG)

    assert (process.returncode, printed) == (128 + number, ""), said
    assert project.left() == []
    assert "Traceback" not in said


def test_a_signal_that_comes_before_the_command_is_there_reaches_it():
    before = signal.getsignal(signal.SIGTERM)
    with _Signals() as signals:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as an open cluster changes it
        signals.hold()
        signal.raise_signal(signal.SIGTERM)
        with subprocess.Popen(["/bin/sleep", "1000"], process_group=0) as command:
            signals.pass_to(command)
            assert command.wait(LONG) == -signal.SIGTERM

    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_from_another_thread_reaches_the_command():
    with _Signals() as signals, subprocess.Popen(["/bin/sleep", "1000"], process_group=0) as command:
        signals.pass_to(command)
        threading.Thread(target=signals.give, args=(signal.SIGTERM,)).start()
        assert command.wait(LONG) == -signal.SIGTERM


def test_a_signal_that_is_ignored_stays_so():
    """Under nohup the command inherits that SIGHUP is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _Signals() as signals:
            signals.hold()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_while_the_cluster_ends_changes_nothing(project):
    project.write("job.py", WAITING)

    with project.started(*RUN, sys.executable, "job.py") as process:
        assert process.stdout.readline() == "ready\n"
        (command,) = [each for each in psutil.Process(process.pid).children() if "job.py" in each.cmdline()]
        process.send_signal(signal.SIGINT)
        command.wait(LONG)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=LONG)

    assert process.returncode == 3, said
    assert project.left() == []
    assert "Traceback" not in said


def test_a_lost_cluster_ends_the_command(project):
    project.write("job.py", WAITING)

    with project.started(*RUN, sys.executable, "job.py") as process:
        assert process.stdout.readline() == "ready\n"
        zygote = next(each for each in project.processes() if "local_zygote" in " ".join(each.cmdline()))
        scheduler = min(zygote.children(), key=psutil.Process.create_time)
        scheduler.kill()
        _, said = process.communicate(timeout=LONG)

    assert process.returncode == 125, said
    assert "\ndaskbridge: ClusterLost: the cluster at tls://" in said
    assert project.left() == []


def test_a_command_that_does_not_exist_starts_nothing(project):
    done = project.run("run", "--cluster", "cluster.yaml", "--", "no-such-command")

    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "daskbridge: 'no-such-command' is not a command here\n"


def test_a_command_that_can_not_be_executed_is_said_in_words(project):
    project.write("data", "neither a program nor a script")
    (project.path / "data").chmod(0o755)

    done = project.run("run", "--cluster", "cluster.yaml", "--no-code", "./data")

    assert (done.returncode, done.stdout) == (126, "")
    assert "daskbridge: './data' can't be executed: Exec format error\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_reads_the_terminal_and_gives_it_back(project):
    """A shell on a terminal of its own starts the run and reads on afterwards."""
    project.write("job.py", "print('hello ' + input('name? '))" + WAITING)
    terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    shell = '"$0" run --cluster cluster.yaml --no-code "$1" job.py; echo "code $?"; read last; echo "<$last>"'
    command = [sys.executable, "-c", terminal, "sh", "-c", shell, DASKBRIDGE, sys.executable]

    with project.started(*command, stderr=None, text=False, bufsize=0) as process:
        for prompt, answer in [
            (b"name? ", b"you\n"),
            (b"ready", b"\x03"),
            (b"code 3", b"again\n"),
            (b"<again>", b""),
        ]:
            heard = b""
            while prompt not in heard:
                piece = process.stdout.read(1)
                assert piece, heard
                heard += piece
            process.stdin.write(answer)
        process.communicate(timeout=LONG)

    assert process.returncode == 0
    assert project.left() == []
