"""The cluster has the shape that the topology asks, as far as its target declares that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daskbridge.testing._programs import shape as asked
from daskbridge.testing._suite import Suite

if TYPE_CHECKING:
    from daskbridge.testing._scenario import Report, Stage


class ShapeTests(Suite):
    """Assert what the program ``shape`` has seen of a cluster of everything that the target declares."""

    @pytest.fixture
    def shape(self, stage: Stage) -> Report:
        """Give the report of a body on a cluster of which everything was asked at once."""
        return stage.report("shape")

    def test_all_that_is_declared_can_be_asked_at_once(self, shape: Report) -> None:
        """A topology of all that the target declares gives a cluster."""
        assert shape.of("number") >= 1

    def test_a_worker_runs_as_many_tasks_at_once_as_asked(self, shape: Report) -> None:
        """Workers have the ``threads`` of their group."""
        self.honours("threads")
        workers = self._workers(shape)
        assert {asked.THREADS, *self._other(asked.OTHER_THREADS)} == {
            worker["nthreads"] for worker in workers.values()
        }

    def test_nodes_have_their_environment_variables(self, shape: Report) -> None:
        """Workers and the scheduler have the ``env`` that was asked for each."""
        self.honours("env")
        self._asked(shape)
        token = shape.of("token")
        found = {environ[asked.GROUP] for environ in shape.of("environ").values()}
        assert found == {f"{name}-{token}" for name in ["default", *self._other(asked.OTHER)]}
        assert shape.of("scheduler's environ")[asked.GROUP] == f"scheduler-{token}"

    def test_no_process_shows_a_variable_s_value_in_its_arguments(self, shape: Report) -> None:
        """What is given as ``env`` may be a secret: it is in no process's arguments."""
        self.honours("env")
        self._asked(shape)
        assert shape.of("arguments") == []

    def test_nodes_have_dask_s_configuration(self, shape: Report) -> None:
        """Workers and the scheduler have the topology's ``config``."""
        self.honours("dask-config")
        self._asked(shape)
        token = shape.of("token")
        assert set(shape.of("config").values()) == {token}
        assert shape.of("scheduler's config") == token

    def test_workers_have_their_abstract_resources(self, shape: Report) -> None:
        """Workers declare the ``abstract_resources`` of their group."""
        self.honours("abstract-resources")
        wanted = {f"KIT-{shape.of('token')}": asked.AMOUNT}
        assert [worker["resources"] for worker in self._workers(shape).values()] == [
            wanted for _ in self._workers(shape)
        ]

    def test_workers_spill_to_their_directory(self, shape: Report) -> None:
        """Workers use the ``local_directory`` that was asked."""
        self.honours("local-directory")
        for worker in self._workers(shape).values():
            assert worker["local directory"].startswith(shape.of("spill"))

    def test_workers_have_their_memory(self, shape: Report) -> None:
        """Workers have the memory that was asked, or less where a small machine says so."""
        self.honours("worker-resources")
        limit = asked.MEBIBYTES * 2**20
        for worker in self._workers(shape).values():
            assert limit / 2 <= worker["memory_limit"] <= limit

    def test_workers_are_named_after_their_group(self, shape: Report) -> None:
        """Workers are called ``<group>-<number>``, where there can be several groups."""
        self.honours("worker-groups")
        assert {name.rpartition("-")[0] for name in self._workers(shape)} == {"default", asked.OTHER}
        assert all(name.rpartition("-")[2].isdigit() for name in self._workers(shape))

    def test_an_adaptive_group_grows_with_its_work(self, shape: Report) -> None:
        """A group with ``max_workers`` gets more workers when there is work for them."""
        self.honours("adaptive")
        self._asked(shape)
        assert shape.of("adapts") == [1, 2]

    def _asked(self, shape: Report) -> None:
        self.given(self.test_all_that_is_declared_can_be_asked_at_once, shape)

    def _workers(self, shape: Report) -> dict[str, Any]:
        self._asked(shape)
        workers: dict[str, Any] = shape.of("workers")
        return workers

    def _other(self, value: Any) -> list[Any]:  # noqa: ANN401 -- returned as given
        """Return what a further group was asked, where there is one."""
        return [value] if "worker-groups" in self.capabilities else []
