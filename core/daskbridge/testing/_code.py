"""The code is simply there: on the first workers, on the scheduler, on who comes late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daskbridge.testing._scenario import FIRST
from daskbridge.testing._suite import Suite

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report, Stage


class CodeTests(Suite):
    """Assert what the program ``life`` has seen of its project's code, which was renamed away."""

    @pytest.fixture
    def life(self, stage: Stage) -> Report:
        """Give the report of a body that sees its cluster from its beginning to its end."""
        return stage.report("life")

    def test_a_body_gets_a_cluster_and_its_result_comes_back(self, life: Report) -> None:
        """A body runs with a cluster, and what it returns comes back."""
        if life.stage.cause() is not None:
            self.preconditions(life)
        assert life.of("result") == life.of("token")

    def begun(self, report: Report) -> None:
        """Skip a test about the end of runs where none begins."""
        self.given(self.test_a_body_gets_a_cluster_and_its_result_comes_back, report.of_other(FIRST))

    def preconditions(self, life: Report) -> None:
        """Skip the first test, which has failed, where another one says why nothing can work."""

    def ready_for_code(self, life: Report) -> None:
        """Skip the first test of the code where another one says why there can be none."""

    def test_tasks_on_the_first_workers_import_the_project(self, life: Report) -> None:
        """The first workers import the project's package, sibling module and entry module."""
        self.given(self.test_the_scheduler_imports_the_project, life)
        code = life.of("code on workers")
        assert code
        assert set(map(tuple, code.values())) == {tuple(life.of("code"))}

    def test_the_scheduler_imports_the_project(self, life: Report) -> None:
        """The scheduler imports the project, as it does for graphs and plugins."""
        self.ready_for_code(life)
        assert life.of("code on the scheduler") == life.of("code")

    def test_results_pass_from_worker_to_worker(self, life: Report) -> None:
        """Functions of the module that holds the body run in a graph; workers get each other's results."""
        self.given(self.test_tasks_on_the_first_workers_import_the_project, life)
        assert life.of("passed on") == [4, 4]

    def test_a_worker_that_joins_late_imports_the_project(self, life: Report) -> None:
        """A worker that joins while the body runs imports the project before its first task."""
        if {"scale", "late-workers"} <= {*self.lacks}:
            self.needs("late-workers")
        self.given(self.test_tasks_on_the_first_workers_import_the_project, life)
        assert life.of("late") == life.of("code")
