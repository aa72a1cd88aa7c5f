"""Each attempt has a cluster of its own, and a task that is told to end ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from daskbridge.testing._task import TaskTests

if TYPE_CHECKING:
    from daskbridge.testing._program import Program
    from daskbridge.testing._scenario import Report, Stage
    from daskbridge.testing._suite import Suite


def told_to_end(program: Program, suite: Suite) -> None:
    """Wait until a task was told to end, and then for its program's end."""
    if program.told("told", suite.patience):
        program.ends(suite.settles)


class AttemptTests(TaskTests):
    """Assert what is left of tasks that were tried again, and of tasks that were told to end."""

    @pytest.fixture
    def retried(self, stage: Stage) -> Report:
        """Give the report of a task whose first attempt failed."""
        self.asks("run_retried")
        return stage.report("retried")

    @pytest.fixture
    def cancelled_start(self, stage: Stage) -> Report:
        """Give the report of a task that was told to end before its cluster was ready."""
        self.asks("cancel")
        return stage.report("cancelled_start")

    @pytest.fixture
    def cancelled_body(self, stage: Stage) -> Report:
        """Give the report of a task that was told to end while its body waited for a result."""
        self.asks("cancel")
        return stage.report("cancelled_body")

    @pytest.fixture
    def cancelled_async(self, stage: Stage) -> Report:
        """Give the report of a task that was told to end while its ``async`` body waited."""
        self.needs("async-bodies")
        self.asks("cancel")
        return stage.report("cancelled_async")

    def test_a_second_attempt_comes_after_one_that_failed(self, retried: Report) -> None:
        """The result of a task is that of its second attempt."""
        assert len(retried.of("schedulers")) == 2, retried.of("result")  # noqa: PLR2004 -- as it says
        assert retried.of("result") == retried.of("token")

    def test_each_attempt_has_a_cluster_of_its_own(self, retried: Report) -> None:
        """A second attempt has another scheduler, and nothing is left of the first."""
        self.needs("exclusive")
        self.given(self.test_a_second_attempt_comes_after_one_that_failed, retried)
        first, second = retried.of("schedulers")
        assert first != second
        assert retried.of("left") == []

    def test_a_task_that_is_told_to_end_ends_while_its_cluster_starts(self, cancelled_start: Report) -> None:
        """The body of a task never runs that was told to end before, and nothing is left."""
        self._ended(cancelled_start)

    def test_a_task_that_is_told_to_end_ends_while_its_body_waits(self, cancelled_body: Report) -> None:
        """A body is interrupted that waits for a result, and nothing is left."""
        self._ended(cancelled_body)

    def test_a_task_that_is_told_to_end_ends_while_its_async_body_waits(
        self, cancelled_async: Report
    ) -> None:
        """An ``async`` body is interrupted whatever it awaits, and nothing is left."""
        self._ended(cancelled_async)

    def _ended(self, report: Report) -> None:
        self.known(report.of_other("task"))
        report.of("cancel")
        assert "body" not in report.observations
        assert report.code != -signal.SIGKILL, report.end
        assert report.left == [], report.end
