"""Code that is edited while a local cluster runs: new results on all nodes, old ones never."""

from __future__ import annotations

import pytest
from tests.editing import told_by

from daskbridge import Dask, transient


@pytest.fixture(scope="module", params=["fork", "spawn"])
def told(request, tmp_path_factory):
    """Edit, sync and look, in one program for each way in which nodes start."""
    directory = tmp_path_factory.mktemp(request.param)
    return told_by(directory, STORY, DASK_DASKBRIDGE__LOCAL_START=request.param)


STORY = """
    import helper

    with transient(Dask(workers=WorkerGroup(2, threads=1), min_workers=2)) as cluster:
        told = {"before": versions(cluster)}
        first, running = pids(cluster), set(nodes())
        told["unchanged"] = len(cluster.sync()), pids(cluster) == first
        edit(2)
        (PROJECT / "more.py").write_text("")
        told["error"] = raised(cluster.sync)
        told["after error"] = versions(cluster), pids(cluster) == first
        receipts = cluster.sync(policy="restart")
        told["receipts"] = [receipt.role for receipt in receipts], len({each.digest for each in receipts})
        told["after"] = versions(cluster)
        second = pids(cluster)
        told["pids"] = sorted(each.pid for each in receipts[1:]) == second, len({*first, *second})
        told["old left"] = [pid for pid in first if psutil.pid_exists(pid)]
        told["step"] = cluster.timeline[-1].detail
        told["then unchanged"] = len(cluster.sync(policy="restart"))
        cluster.scale(3)
        wait_for(lambda: len(workers(cluster)) == 3)
        told["late"] = versions(cluster)
        three = workers(cluster)
        os.kill(pids(cluster)[0], 9)
        # one that is just joining is known to the scheduler before it answers
        wait_for(lambda: workers(cluster) != three and len(cluster.client.run(os.getpid)) == 3)
        told["restarted"] = versions(cluster)
        edit(1)
        (PROJECT / "more.py").unlink()
        told["rollback"] = len(cluster.sync(policy="restart")), versions(cluster)
        other = PROJECT.with_name("other")
        other.mkdir()
        (other / "helper.py").write_text("def version(*_):\\n    return 'other'")
        cluster.sync(other, policy="restart")
        told["other"] = versions(cluster)
        told["back"] = len(cluster.sync(policy="restart")), versions(cluster)
    told["left"] = nodes()
    report(**told)
"""


def test_an_edit_reaches_the_scheduler_and_new_processes_of_all_workers(told):
    assert told["before"] == [[1, 1], 1]
    assert told["after"] == [[2, 2], 2]
    assert told["pids"] == [True, 4]
    assert told["old left"] == []


def test_each_node_gives_a_receipt_for_the_new_code(told):
    assert told["receipts"] == [["scheduler", "worker", "worker"], 1]


def test_without_a_change_nothing_happens(told):
    assert told["unchanged"] == [3, True]
    assert told["then unchanged"] == 3


def test_by_default_a_change_is_an_error_that_names_the_files_and_leaves_all_as_it_was(told):
    kind, message, hint = told["error"]
    assert kind == "CodeChanged"
    assert message.endswith("; changed: helper.py; added: more.py")
    assert "restart" in hint
    assert told["after error"] == [[[1, 1], 1], True]


def test_the_step_says_what_was_exchanged(told):
    assert " in place of " in told["step"]
    assert told["step"].endswith("changed: helper.py; added: more.py; on 3 nodes")


def test_who_joins_later_or_comes_again_has_the_new_code(told):
    assert told["late"] == [[2, 2, 2], 2]
    assert told["restarted"] == [[2, 2, 2], 2]


def test_the_way_back_to_the_first_version_is_a_sync_as_well(told):
    assert told["rollback"] == [4, [[1, 1, 1], 1]]


def test_other_code_may_be_named_and_without_a_name_it_is_the_runs_own_again(told):
    assert told["other"] == [["other"] * 3, "other"]
    assert told["back"] == [4, [[1, 1, 1], 1]]


def test_nothing_of_it_outlives_the_block(told):
    assert told["left"] == []


def test_an_unknown_policy_is_refused(tmp_path):
    (tmp_path / "helper.py").touch()
    with (
        transient(Dask(), code=tmp_path) as cluster,
        pytest.raises(ValueError, match="known: error, restart"),
    ):
        cluster.sync(policy="reload")


def test_the_asynchronous_face_does_not_block_the_callers_loop(tmp_path):
    told = told_by(
        tmp_path,
        """
        import asyncio

        async def main():
            async with transient(Dask()) as cluster:
                edit(2)
                turns = 0
                syncing = asyncio.ensure_future(cluster.sync_async(policy="restart"))
                while not syncing.done():
                    await asyncio.sleep(0.001)
                    turns += 1
                with hidden():
                    found = await cluster.client.submit(ask)
                report(found=found, receipts=len(syncing.result()), turned=turns > 5)

        asyncio.run(main())
        """,
    )
    assert told == {"found": 2, "receipts": 2, "turned": True}
