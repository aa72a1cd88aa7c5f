"""What a DaskTaskRunner can be made from, and the options of single tasks."""

from __future__ import annotations

import pickle

import dask
import pytest
from daskbridge_prefect import Dask, DaskTaskRunner, WorkerGroup, dask_options
from distributed import LocalCluster

from daskbridge.errors import EnvironmentMismatch, TopologyError

from .runners import CODE, TWO, run, tasks
from .server import until

QUIET = {"processes": False, "dashboard_address": "127.0.0.1:0", "n_workers": 1, "threads_per_worker": 2}


def where():
    return tasks.increment.submit(1).result(), tasks.names.submit().result()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"cluster": TWO, "address": "tcp://127.0.0.1:1"}, ValueError),
        ({"address": "tcp://127.0.0.1:1", "cluster_class": "distributed.LocalCluster"}, ValueError),
        ({"address": "tcp://127.0.0.1:1", "adapt_kwargs": {"maximum": 2}}, ValueError),
        ({"cluster": TWO, "cluster_kwargs": {"n_workers": 2}}, ValueError),
        ({"client_kwargs": {"asynchronous": True}}, ValueError),
        ({"cluster": "tcp://127.0.0.1:1"}, TypeError),
        ({"cluster_class": "nowhere.Cluster", "provisioner": "existing"}, ValueError),
        ({"address": "not an address"}, TopologyError),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.__name__,
)
def test_wrong_arguments_are_errors_at_definition(arguments, error):
    with pytest.raises(error):
        DaskTaskRunner(**arguments)


def test_a_runner_is_copied_compared_and_pickled_without_its_cluster():
    made = DaskTaskRunner(cluster=TWO, code=False)
    assert made == made.duplicate() == pickle.loads(pickle.dumps(made))  # noqa: S301 -- our own
    assert made != DaskTaskRunner(cluster=Dask())
    assert made.name == "dask"
    with pytest.raises(RuntimeError, match="not started"):
        _ = made.client


def test_a_cluster_class_starts_what_its_own_keywords_say(api):
    by_name = DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=QUIET, code=False)
    assert run(by_name, where).result()[0] == 2


def test_a_class_that_can_not_be_imported_fails_the_flow_with_its_name(api):
    state = run(DaskTaskRunner(cluster_class="nowhere.Cluster"), where)
    assert "cluster_class is 'nowhere.Cluster'" in state.message


def test_a_running_cluster_is_used_and_left(api):
    with LocalCluster(**QUIET, protocol="tcp", host="127.0.0.1") as running:
        assert run(DaskTaskRunner(cluster=running, code=False), where).result()[0] == 2
        assert run(DaskTaskRunner(address=running.scheduler_address, code=False), where).result()[0] == 2
        assert len(running.scheduler.workers) == 1
        left = running.scheduler
        known = [left.plugins, left.handlers, left.stream_handlers, left.extensions, left.worker_plugins]
        assert (
            until(
                lambda: [name for names in known for name in names if "prefect" in name],
                lambda seen: not seen,
            )
            == []
        )
        assert not left.tasks


def test_an_adaptive_cluster_has_at_least_one_worker(api):
    adaptive = DaskTaskRunner(
        cluster_class=LocalCluster,
        cluster_kwargs={**QUIET, "n_workers": 0},
        adapt_kwargs={"maximum": 2},
        code=False,
    )
    assert run(adaptive, where).result()[0] == 2


def test_local_keywords_become_a_topology():
    made = DaskTaskRunner(cluster_kwargs={"n_workers": 3, "threads_per_worker": 2, "memory_limit": "1GiB"})
    workers = made._topology.workers
    assert (workers.number_of_workers, workers.threads, workers.resources.memory) == (3, 2, str(2**30))


def test_clients_keywords_reach_the_client(api, cluster):
    def main():
        from prefect.context import FlowRunContext

        return FlowRunContext.get().task_runner.client.id, tasks.increment.submit(1).result()

    named = DaskTaskRunner(address=cluster.scheduler_address, client_kwargs={"name": "mine"}, code=CODE)
    name, result = run(named, main).result()
    assert "mine" in name
    assert result == 2


def test_a_worker_without_prefect_is_an_error_before_any_task_runs(api, tmp_path):
    (tmp_path / "hide.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'prefect' else found(name, *rest)\n"
    )
    preload = [str(tmp_path / "hide.py")]
    bare = {"n_workers": 1, "dashboard_address": "127.0.0.1:0", "preload": preload}
    state = run(DaskTaskRunner(cluster_class=LocalCluster, cluster_kwargs=bare, code=False), where)
    assert state.is_failed()
    with pytest.raises(EnvironmentMismatch, match="has no prefect"):
        state.result()


def test_options_of_a_task_reach_the_scheduler_and_annotations_win(runner, tmp_path):
    on_first = dask_options(workers="default-0", priority=5)(tasks.names)

    def main():
        here = [on_first.submit().result() for _ in range(4)]
        with dask.annotate(workers=["default-1"]):
            there = [on_first.submit().result() for _ in range(4)]
        return set(here), set(there)

    assert run(runner, main).result() == ({"default-0"}, {"default-1"})


def test_resources_of_a_task_are_waited_for(api):
    topology = Dask(workers=WorkerGroup(1, threads=4, abstract_resources={"GPU": 1}))

    def main():
        alone = dask_options(resources={"GPU": 1})(tasks.at_once)
        return max(future.result() for future in alone.map([None] * 4)), tasks.increment.submit(1).result()

    assert run(DaskTaskRunner(cluster=topology, code=CODE), main).result() == (1, 2)


def test_a_task_runs_on_the_worker_group_that_it_names(api):
    topology = Dask(workers=WorkerGroup(1), worker_groups={"big": WorkerGroup(1)})

    def main():
        big = dask_options(worker_group="big")(tasks.names.with_options(name="on big"))
        with dask.annotate(worker_group="default"):
            small = [tasks.names.submit() for _ in range(3)]
        return {big.submit().result() for _ in range(3)}, {future.result() for future in small}

    assert run(DaskTaskRunner(cluster=topology, code=CODE), main).result() == ({"big-0"}, {"default-0"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"priorty": 1}, "did you mean 'priority'"),
        ({"resources": 3}, "resources: 3 was given"),
    ],
)
def test_wrong_options_are_errors_at_definition(options, said):
    with pytest.raises(TopologyError, match=said):
        dask_options(**options)


def test_an_unknown_worker_group_is_an_error_at_submission(runner):
    def main():
        with (
            dask.annotate(worker_group="bigg"),
            pytest.raises(TopologyError, match="unknown worker group 'bigg'"),
        ):
            tasks.names.submit()

    assert run(runner, main).is_completed()


def test_a_performance_report_is_written(api, tmp_path):
    pytest.importorskip("bokeh", reason="Dask's report needs it")
    path = tmp_path / "report.html"
    reporting = DaskTaskRunner(cluster=Dask(), performance_report_path=str(path), code=CODE)
    assert run(reporting, where).result()[0] == 2
    assert "html" in path.read_text()[:200].lower()
