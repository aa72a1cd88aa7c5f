"""A run is what it says: its size, its steps, its dashboard, nothing changed behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daskbridge.testing._code import CodeTests
from daskbridge.testing._programs import life as asked

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report, Stage

#: How many times longer than the setting says it may be from one telling of a step to the next.
LATE = 15
STEPS = ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]


class RunTests(CodeTests):
    """Assert what the programs ``life`` and ``two`` have seen beside the code."""

    @pytest.fixture
    def two(self, stage: Stage) -> Report:
        """Give the report of two bodies that have clusters at the same time."""
        return stage.report("two")

    def test_as_many_workers_come_as_were_asked(self, life: Report) -> None:
        """There are ``number_of_workers`` workers."""
        assert life.of("number") == asked.NUMBER
        self.given(self.test_tasks_on_the_first_workers_import_the_project, life)  # else they may have ended
        assert life.of("workers") == asked.NUMBER

    def test_the_dashboard_answers_before_the_body_begins(self, life: Report) -> None:
        """The dashboard's link is known, and answers, when the body begins."""
        self.needs("dashboard")
        found = life.of("dashboard")
        if found["link"] is None and not found["bokeh"]:
            pytest.skip("bokeh is not installed here: pip install 'daskbridge[dashboard]'")
        assert found["link"] is not None
        assert found["status"] == 200  # noqa: PLR2004 -- OK, in HTTP

    def test_the_steps_of_a_run_are_told_in_their_order(self, life: Report) -> None:
        """Plugins hear of one run for each body: of each step as it begins and as it ends, in order."""
        told = [[step, state] for step, state in life.of("steps") if state != "waiting"]
        assert told == [[step, state] for step in STEPS for state in ("started", "done")]

    def test_a_step_that_lasts_is_told_again_and_again(self, life: Report) -> None:
        """Plugins hear of the body's step while it lasts, about as often as the setting says."""
        assert life.of("told again") <= LATE * asked.TELLINGS * asked.INTERVAL

    def test_a_second_run_gets_a_cluster_of_its_own(self, life: Report) -> None:
        """Another run of the same process has another scheduler, which has the code, too."""
        self.needs("exclusive")
        self.given(self.test_tasks_on_the_first_workers_import_the_project, life)
        life.of("run of second")
        scheduler, code = life.of("second")
        assert scheduler != life.of("scheduler id")
        assert list(code.values()) == [life.of("code")] * len(code)

    def test_a_run_leaves_its_process_as_it_was(self, life: Report) -> None:
        """Dask's configuration, pickling, threads, clients, signal handlers and ports are as before."""
        cure = "what the orchestrator itself leaves is not counted where `prepare()` brings it before"
        assert life.of("changes") == {}, cure if hasattr(self, "prepare") else ""

    def test_two_clusters_of_one_process_never_cross(self, two: Report) -> None:
        """Two bodies at the same time reach each their own cluster, with its own code."""
        self.needs("exclusive")
        self.needs("two-at-once")
        self.given(self.test_a_second_run_gets_a_cluster_of_its_own, two.of_other("life"))
        one, other = two.of("seen")
        assert one["scheduler"] != other["scheduler"]
        for seen in (one, other):
            assert seen["bare client"] == seen["scheduler"]
            assert seen["code"] == seen["expected"]
