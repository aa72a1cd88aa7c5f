"""The core's own listener shows a run on stderr: to a log as lines, to a terminal as it goes."""

from __future__ import annotations

import os
import sys

import dask.config
import pytest

from daskbridge import Dask
from daskbridge.plugins import Run
from daskbridge.runtime.display_plugin import CLEAR, daskbridge_step

RUN = Run(id="1", name="job", topology=Dask(), provisioner="local")
TOLD = [
    ("connect", "started", 0.0, ""),
    ("connect", "waiting", 5.0, "1 of 4 workers"),
    ("connect", "done", 6.25, "tcp://127.0.0.1:1"),
    ("body", "done", 60.0, ""),
    ("close", "failed", 1.0, ""),
]


def shown(choice, stream):
    with dask.config.set({"daskbridge.display": choice}), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        for told in TOLD:
            daskbridge_step(*told, RUN)


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "log").open("w+") as stream:
        yield stream


def test_a_log_gets_a_line_for_what_waits_and_what_ends(log):
    shown("on", log)

    log.seek(0)
    assert log.read().splitlines() == [
        "daskbridge job: connect        5 s  waiting: 1 of 4 workers",
        "daskbridge job: connect     6.25 s  tcp://127.0.0.1:1",
        "daskbridge job: close       1.00 s    FAILED",
    ]


@pytest.mark.parametrize("choice", ["auto", "off"])
def test_a_log_gets_nothing_unless_it_was_asked_for(log, choice):
    shown(choice, log)

    assert log.tell() == 0


def test_a_terminal_shows_what_is_under_way_in_one_line():
    reader, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        shown("auto", stream)
        text = ""
        while not text.endswith("FAILED\r\n"):
            text += os.read(reader, 4096).decode()
    os.close(reader)

    assert [line.rpartition(CLEAR)[2] for line in text.replace("\r\n", "\n").split("\n")[:-1]] == [
        "daskbridge job: connect     6.25 s  tcp://127.0.0.1:1",
        "daskbridge job: close       1.00 s    FAILED",
    ]
    assert f"{CLEAR}daskbridge job: connect        5 s  1 of 4 workers{CLEAR}" in text
