"""On a terminal a build shows how far it is, in one line that is gone afterwards."""

from __future__ import annotations

import os
import re

from tests.core.cli.conftest import installed

from daskbridge.cli._line import CLEAR


def test_a_terminal_sees_a_build_go_on_and_nothing_is_left(project):
    for number in range(4):
        (project.path / f"{number}.bin").write_bytes(os.urandom(1 << 20))
    reader, terminal = os.openpty()
    command = ("build", ".", "-o", "../code")
    with project.started(str(installed("daskbridge")), "bundle", *command, stderr=terminal) as process:
        os.close(terminal)
        shown = read(reader)
        result, _ = process.communicate(timeout=60)
    assert result.startswith("../code: 5 files, 4.0 MiB, packed ")
    assert "looking for the code that ships" in shown
    assert shown.endswith(CLEAR)
    assert "\n" not in shown


def test_without_a_terminal_nothing_is_shown(project):
    done = project.run("bundle", "build", ".", "-o", "../code")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"1 files, .* \(\d+%\), \d\.\d\d s, digest [0-9a-f]{64}\n", done.stdout)


def read(reader):
    text = b""
    try:
        while data := os.read(reader, 1 << 16):
            text += data
    except OSError:  # how Linux says that the terminal's other side is closed
        pass
    finally:
        os.close(reader)
    return text.decode()
