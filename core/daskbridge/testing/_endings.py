"""It is gone afterwards, whatever happened, and the user's own error is what comes out."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from daskbridge.testing import _recorder
from daskbridge.testing._code import CodeTests

if TYPE_CHECKING:
    from daskbridge.testing._program import Program
    from daskbridge.testing._scenario import Report, Stage
    from daskbridge.testing._suite import Suite


def terminated(program: Program, suite: Suite) -> None:
    """Send SIGTERM to a program whose body waits."""
    if program.told("waits", suite.patience):
        program.process.send_signal(signal.SIGTERM)
    program.ends(suite.patience)


def killed(program: Program, suite: Suite) -> None:
    """Kill a program whose body waits."""
    if program.told("waits", suite.patience):
        program.process.kill()
    program.ends(suite.patience)


class EndingTests(CodeTests):
    """Assert what is left of runs that ended in all ways, and what they ended in."""

    @pytest.fixture
    def endings(self, stage: Stage) -> Report:
        """Give the report of a process in which runs failed one after the other."""
        return stage.report("endings")

    @pytest.fixture
    def sigterm(self, stage: Stage) -> Report:
        """Give the report of a program that got SIGTERM while its body waited."""
        return stage.report("sigterm")

    @pytest.fixture
    def sigkill(self, stage: Stage) -> Report:
        """Give the report of a program that was killed while its body waited."""
        return stage.report("sigkill")

    @pytest.fixture
    def lost(self, stage: Stage) -> Report:
        """Give the report of a body whose scheduler was killed."""
        return stage.report("lost")

    def test_nothing_is_left_after_a_success(self, life: Report) -> None:
        """When the block has ended no process, port and file is left, while the driver goes on."""
        assert life.of("left") == []

    def test_nothing_is_left_after_the_program(self, life: Report) -> None:
        """When the driver has ended nothing is left at all."""
        life.of("end")
        self.given(self.test_nothing_is_left_after_a_success, life)
        assert life.left == []

    def test_an_error_of_the_body_comes_out_as_it_is(self, endings: Report) -> None:
        """The body's own error is on top, with its type, its message and its frame."""
        self.begun(endings)
        self._is_the_user_s(endings, endings.of("failed"))

    def test_nothing_is_left_after_an_error(self, endings: Report) -> None:
        """The cluster of a body that failed is gone, while the driver goes on."""
        self.given(self.test_nothing_is_left_after_a_success, endings.of_other("life"))
        assert endings.of("left of it") == []

    def test_an_error_of_the_tear_down_is_a_note_on_the_body_s(self, endings: Report) -> None:
        """What goes wrong while a cluster closes never takes the place of the body's error."""
        self.given(self.test_an_error_of_the_body_comes_out_as_it_is, endings)
        self.given(self.test_nothing_is_left_after_an_error, endings)
        rude = endings.of("rude")
        self._is_the_user_s(endings, rude)
        assert _recorder.TEAR_DOWN in "\n".join([rude["message"], *rude["notes"]])

    def test_a_start_that_takes_too_long_is_an_error_that_says_so(self, endings: Report) -> None:
        """A start beyond ``start_timeout`` is one of daskbridge's errors of provisioning, and says so."""
        self.begun(endings)
        found = endings.of("too late")
        assert found["of provisioning"], found
        assert "start_timeout" in "\n".join([found["message"], *found["notes"]])

    def test_nothing_is_left_of_a_start_that_takes_too_long(self, endings: Report) -> None:
        """What was started by then is gone, while the driver goes on."""
        self.given(self.test_nothing_is_left_after_an_error, endings)
        assert endings.of("left of that") == []

    def test_nothing_is_left_after_sigterm(self, sigterm: Report) -> None:
        """SIGTERM ends the body, the cluster and the driver."""
        sigterm.of("waits")
        self.given(self.test_nothing_is_left_after_the_program, sigterm.of_other("life"))
        assert sigterm.code not in {None, 0, -signal.SIGKILL}, sigterm.end
        assert sigterm.left == [], sigterm.end

    def test_nothing_is_left_after_sigkill(self, sigkill: Report) -> None:
        """A driver that is killed takes its cluster along, or that ends itself within its lease."""
        sigkill.of("waits")
        self.given(self.test_nothing_is_left_after_sigterm, sigkill.of_other("sigterm"))
        assert sigkill.left == []

    def test_a_lost_scheduler_ends_the_body(self, lost: Report) -> None:
        """A body whose scheduler died ends in ``ClusterLost``."""
        self.needs("exclusive")
        self.needs("scheduler-process")
        lost.of("waits")
        assert lost.of("lost")["type"] == "ClusterLost", lost.of("lost")

    def test_nothing_is_left_of_a_lost_cluster(self, lost: Report) -> None:
        """What a scheduler that died has left is gone, too, while the driver goes on."""
        self.needs("exclusive")
        self.needs("scheduler-process")
        lost.of("waits")
        self.given(self.test_nothing_is_left_after_an_error, lost.of_other("endings"))
        assert lost.of("left") == []

    def _is_the_user_s(self, endings: Report, found: dict[str, Any]) -> None:
        text = f"the user's own {endings.of('token')}"
        if "errors" in self.lacks:
            assert found.get("named as it"), found
            assert found["message"].startswith(text), found
            return
        assert found.get("user's"), found
        assert found["message"] == text
        assert "fail" in found["functions"]
