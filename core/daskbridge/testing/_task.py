"""A task of the orchestrator is known as one, nothing else is, and a person sees what goes on in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daskbridge.errors import unknown
from daskbridge.testing._orchestrated import Orchestrated

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report, Stage

#: Modules that no plugin may load when it is imported, since every process that uses daskbridge does that.
HEAVY = frozenset({"distributed", "numpy"})


class TaskTests(Orchestrated):
    """Assert what the program ``task`` has seen."""

    @pytest.fixture
    def task(self, stage: Stage) -> Report:
        """Give the report of tasks that ended well."""
        return stage.report("task")

    def test_the_adapter_is_found_as_a_plugin(self, task: Report) -> None:
        """An entry point of the group ``daskbridge`` leads to the orchestrator."""
        found = task.of("plugin")
        assert found["module"], f"{unknown('orchestrator', self.adapter, found['orchestrators'])} {found}"

    def test_importing_the_plugin_imports_no_orchestrator(self, task: Report) -> None:
        """The plugin's module is loaded in every process that uses daskbridge, so it loads nothing heavy."""
        self.known(task)
        forbidden = HEAVY | {task.of("loaded").partition(".")[0], *self.orchestrator_modules}
        assert forbidden & {*task.of("plugin")["loads"]} == set()

    def test_a_task_is_known_to_be_the_orchestrator_s(self, task: Report) -> None:
        """In a task, the run is the orchestrator's."""
        self.given(self.test_the_adapter_is_found_as_a_plugin, task)
        missing = task.of("not imported")
        said = (
            f"this process has not imported {missing!r}, its `loaded`, so it is not asked" if missing else ""
        )
        assert task.of("orchestrator") == [self.adapter, self.adapter], said

    def test_nothing_is_claimed_but_tasks(self, task: Report) -> None:
        """Neither before the orchestrator is imported, nor before a task, nor after it is one claimed."""
        assert task.of("claimed before it is loaded") is None
        assert task.of("claimed before a task") is None
        assert task.of("claimed after a task") is None

    def test_a_run_has_the_name_that_the_orchestrator_shows(self, task: Report) -> None:
        """A person finds the cluster's run by the name of the task's."""
        self.asks("run_name")
        self.known(task)
        shown, named = task.of("run_name")
        assert shown == named

    def test_the_dashboard_is_published_before_the_body_begins(self, task: Report) -> None:
        """The link is there for a person while the dashboard is."""
        self.asks("published")
        self.known(task)
        link = task.of("link")
        if link is None:
            pytest.skip("the cluster has no dashboard: pip install 'daskbridge[dashboard]'")
        assert link in task.of("published")

    def test_the_orchestrator_hears_of_a_cluster_that_starts(self, task: Report) -> None:
        """When the body begins the orchestrator has heard that its cluster was being started."""
        self.needs("heard-of-start")
        self.asks("heard")
        self.known(task)
        assert task.of("heard")[0] not in NOTHING

    def test_the_orchestrator_hears_of_a_body_that_waits(self, task: Report) -> None:
        """While the body waits the orchestrator hears something again and again."""
        self.asks("heard")
        self.known(task)
        first, later = task.of("heard")
        assert first != later

    def test_what_workers_print_is_in_the_task_s_log(self, task: Report) -> None:
        """What a worker prints is found in the log of the task, while it runs."""
        self.asks("logged")
        self.known(task)
        assert task.of("logged")

    def test_a_task_runs_its_body_once(self, task: Report) -> None:
        """One task is one call of its body."""
        times = task.of("times")
        if times == 0:
            self.begun(task)
        assert times == 1

    def test_a_cluster_that_the_body_opens_is_another(self, task: Report) -> None:
        """Within a cluster of its own the body reaches that one, afterwards the task's."""
        self.needs("two-at-once")
        seen = self.seen(task, "another cluster")
        assert seen["within"] == seen["inner"] != seen["outer"]
        assert seen["afterwards"] == seen["outer"]

    def test_a_topology_may_be_a_document(self, task: Report) -> None:
        """A mapping as of a YAML file is taken for the topology that it holds."""
        self.needs("documents")
        assert self.seen(task, "document") == 1024  # noqa: PLR2004 -- 2**10

    def test_an_async_body_has_a_cluster(self, task: Report) -> None:
        """An ``async`` function is awaited, with a cluster."""
        self.needs("async-bodies")
        assert self.seen(task, "async") == 1024  # noqa: PLR2004 -- as above

    def seen(self, task: Report, name: str) -> Any:  # noqa: ANN401 -- what JSON can hold
        """Return what the body of one task saw; fail with the error in which the task ended."""
        self.begun(task)
        task.of(f"run of {name}")
        return task.of(name)

    def known(self, task: Report) -> None:
        """Skip a test of what is asked of the orchestrator where tasks are not known to be its own."""
        self.given(self.test_a_task_is_known_to_be_the_orchestrator_s, task)


#: What an orchestrator says that has heard nothing, as text.
NOTHING = frozenset({"", "null", "false", "0", "[]", "{}"})
