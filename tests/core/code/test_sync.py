"""Scheduler, workers and driver in one process: the order of things, sharing and undoing."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import dask.config
import pytest
from distributed import Client, Scheduler, Worker

from daskbridge.code import CodeSpec, Root, _limits, build_bundle, forget_code, publish, receipts, sync_code
from daskbridge.code._nodes import all_told
from daskbridge.errors import BundleError, CodeNotDelivered


@pytest.fixture
def cache(tmp_path):
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "cache")}):
        yield tmp_path / "cache"


def make(tmp_path, name, text):
    root = tmp_path / name
    root.mkdir()
    (root / "shipped_module.py").write_text(text)
    return build_bundle(CodeSpec([root]), directory=root)


@contextlib.asynccontextmanager
async def cluster(workers=2, clients=1):
    async with contextlib.AsyncExitStack() as stack:
        options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        scheduler = await stack.enter_async_context(Scheduler(**options))
        for number in range(workers):
            await stack.enter_async_context(worker(scheduler, f"w{number}"))
        made = [await stack.enter_async_context(client(scheduler)) for _ in range(clients)]
        yield scheduler, *made


def bounded(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 60))


def worker(scheduler, name, **options):
    return Worker(scheduler.address, name=name, nthreads=1, host="127.0.0.1", dashboard=False, **options)


def client(scheduler):
    return Client(scheduler.address, asynchronous=True, set_as_default=False)


def ask():
    import shipped_module

    return shipped_module.ANSWER


def test_workers_that_share_a_process_share_an_installation_and_leave_no_trace(tmp_path, cache):
    bundle, before = make(tmp_path, "one", "ANSWER = 1"), list(sys.path)

    async def scenario():
        async with cluster(workers=8) as (scheduler, driver):
            told = await sync_code(driver, bundle)
            assert [receipt.role for receipt in told] == ["scheduler"] + ["worker"] * 8
            assert {receipt.digest for receipt in told} == {bundle.digest}
            assert [receipt.source for receipt in told] == ["driver"] + ["cache"] * 8
            assert await driver.submit(ask) == 1
            assert (await driver.submit(lambda: sys.path[0])).startswith(str(cache))
            async with worker(scheduler, "late"):
                assert "late" in {receipt.name for receipt in await receipts(driver)}
            assert "late" not in {receipt.name for receipt in await receipts(driver)}
            assert await driver.submit(ask, pure=False) == 1
            await forget_code(driver)
            assert not any("daskbridge" in op for op in scheduler.handlers)
            assert not {*scheduler.plugins, *scheduler.worker_plugins, *scheduler.nanny_plugins} & {
                "daskbridge-code"
            }

    bounded(scenario)
    assert "shipped_module" not in sys.modules
    assert sys.path == before


def test_several_roots_and_an_entry_module_are_imported_by_their_own_names(tmp_path, cache):
    for path in ("one/src/in_one.py", "two/in_two.py", "dags/flow.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    roots = [Root(tmp_path / "one", ["src"]), tmp_path / "two"]
    spec = CodeSpec(roots, modules={"unusual_prefix_x_flow": tmp_path / "dags/flow.py"})
    bundle = build_bundle(spec, directory=tmp_path)

    def imported():
        import in_one
        import in_two
        import unusual_prefix_x_flow

        return [Path(module.__file__).name for module in (in_one, in_two, unusual_prefix_x_flow)]

    async def scenario():
        async with cluster(workers=1) as (_, driver):
            await sync_code(driver, bundle)
            assert await driver.submit(imported) == ["in_one.py", "in_two.py", "unusual_prefix_x_flow.py"]

    bounded(scenario)


def test_code_can_be_exchanged_once_nobody_uses_it(tmp_path, cache):
    async def scenario():
        async with cluster() as (_, driver):
            for answer in (1, 2):
                await sync_code(driver, make(tmp_path, str(answer), f"ANSWER = {answer}"))
                assert await driver.submit(ask, pure=False) == answer
                await forget_code(driver)

    bounded(scenario)


def test_a_working_directory_is_for_processes_that_are_a_worker_s_alone(tmp_path, cache):
    spec = CodeSpec([tmp_path / "one"], working_directory=True)
    make(tmp_path, "one", "ANSWER = 1")
    bundle, here = build_bundle(spec, directory=tmp_path), Path.cwd()

    async def scenario():
        async with cluster(workers=1) as (scheduler, driver):
            with pytest.raises(BundleError, match="others use this one, too"):
                await sync_code(driver, bundle, exclusive=False)
            assert "daskbridge-code" not in scheduler.plugins
            with pytest.raises(CodeNotDelivered, match="is the scheduler's, too"):
                await sync_code(driver, bundle)

    bounded(scenario)
    assert Path.cwd() == here


def test_clients_with_the_same_code_share_it_until_the_last_one_forgets_it(tmp_path, cache):
    one, same = make(tmp_path, "one", "ANSWER = 1"), make(tmp_path, "same", "ANSWER = 1")

    async def scenario():
        async with cluster(clients=2) as (_, first, second):
            told = await sync_code(first, one, exclusive=False)
            assert await sync_code(second, same, exclusive=False) == told
            await forget_code(second)
            assert await first.submit(ask) == 1
            await forget_code(first)
            with pytest.raises(ModuleNotFoundError):
                await first.submit(ask, pure=False)

    bounded(scenario)


def test_clients_that_come_and_go_at_once_do_not_disturb_each_other(tmp_path, cache):
    bundle, before = make(tmp_path, "one", "ANSWER = 1"), list(sys.path)

    async def use(driver):
        await sync_code(driver, bundle, exclusive=False)
        assert await driver.submit(ask, pure=False) == 1
        await forget_code(driver)

    async def scenario():
        async with cluster(clients=6) as (scheduler, *drivers):
            for _ in range(3):
                await asyncio.gather(*map(use, drivers))
            assert "daskbridge-code" not in {*scheduler.plugins, *scheduler.worker_plugins}

    bounded(scenario)
    assert sys.path == before


def test_other_code_is_refused_on_a_shared_cluster_while_the_first_is_in_use(tmp_path, cache):
    one, other = make(tmp_path, "one", "ANSWER = 1"), make(tmp_path, "other", "ANSWER = 2")

    async def scenario():
        async with cluster(clients=2) as (scheduler, first, second):
            await sync_code(first, one, exclusive=False)
            with pytest.raises(
                BundleError, match=f"runs the code {one.digest[:12]} for 1 client.*{other.digest[:12]}"
            ):
                await sync_code(second, other, exclusive=False)
            assert await first.submit(ask) == 1
            await first.close()
            async with client(scheduler) as third:
                await sync_code(third, other, exclusive=False)
                assert await third.submit(ask, pure=False) == 2

    bounded(scenario)


def test_two_clusters_in_one_process_can_not_run_different_code(tmp_path, cache):
    one, other = make(tmp_path, "one", "ANSWER = 1"), make(tmp_path, "other", "ANSWER = 2")

    async def scenario():
        async with cluster() as (_, first), cluster() as (elsewhere, second):
            await sync_code(first, one)
            with pytest.raises(BundleError, match=f"already runs the code {one.digest[:12]}"):
                await sync_code(second, other)
            assert not any("daskbridge" in op for op in elsewhere.handlers)
            assert await first.submit(ask) == 1

    bounded(scenario)


def test_a_worker_without_the_code_fails_the_sync_with_its_cause_and_is_closed(tmp_path, cache):
    bundle = make(tmp_path, "one", "ANSWER = 1")

    async def scenario():
        async with cluster(workers=1) as (scheduler, driver), worker(scheduler, "bad") as bad:
            bad.scheduler.daskbridge_code_report = refuse
            with pytest.raises(
                CodeNotDelivered, match=r"did not reach every node:\n.*no report today"
            ) as caught:
                await sync_code(driver, bundle)
            assert caught.value.retryable
            await bad.finished()
            assert [each.name for each in scheduler.workers.values()] == ["w0"]
            [(_, event)] = await driver.get_events("daskbridge")
            assert event == {
                "kind": "code-failed",
                "name": "bad",
                "worker": bad.address,
                "error": "no report today",
            }
            assert "daskbridge-code" not in scheduler.worker_plugins

    bounded(scenario)


def test_on_a_shared_cluster_a_worker_without_the_code_is_left_alone(tmp_path, cache):
    bundle = make(tmp_path, "one", "ANSWER = 1")

    async def scenario():
        async with cluster(workers=1) as (scheduler, driver), worker(scheduler, "bad") as bad:
            bad.scheduler.daskbridge_code_report = refuse
            with pytest.raises(BundleError, match="no report today"):
                await sync_code(driver, bundle, exclusive=False)
            assert await driver.submit(int, workers=["bad"]) == 0

    bounded(scenario)


async def refuse(**_):
    raise RuntimeError("no report today")


def test_nodes_fetch_from_a_store_without_burdening_the_scheduler(tmp_path, cache):
    bundle = publish(make(tmp_path, "one", "ANSWER = 1"), f"file://{tmp_path}/store")

    async def scenario():
        async with cluster() as (_, driver):
            told = await sync_code(driver, bundle)
            assert told[0].source == "store"
            assert not list(cache.rglob("archive"))
            assert await driver.submit(ask) == 1

    bounded(scenario)


def test_a_store_that_fails_does_not_show_its_address(tmp_path, cache):
    bundle = publish(make(tmp_path, "one", "ANSWER = 1"), f"file://{tmp_path}/hunter2")
    (tmp_path / "hunter2" / f"{bundle.digest}.{bundle.format}").unlink()

    async def scenario():
        async with cluster(workers=0) as (_, driver):
            with pytest.raises(BundleError, match="FileNotFoundError while reading the store") as caught:
                await sync_code(driver, bundle)
            assert "hunter2" not in str(caught.value)

    bounded(scenario)


def test_a_damaged_upload_is_refused_and_not_kept(tmp_path, cache):
    bundle = make(tmp_path, "one", "ANSWER = 1")
    bundle.archive.write_bytes(bundle.archive.read_bytes()[:-1])

    async def scenario():
        async with cluster() as (_, driver):
            with pytest.raises(CodeNotDelivered, match="damaged on its way"):
                await sync_code(driver, bundle)

    bounded(scenario)
    assert not list(cache.rglob("archive"))


def test_what_is_too_large_for_the_scheduler_will_not_be_less_so_later(tmp_path, cache, monkeypatch):
    bundle = make(tmp_path, "one", "ANSWER = 1")
    monkeypatch.setattr(_limits, "MAX_ARCHIVE", 1)

    async def scenario():
        async with cluster(workers=0) as (_, driver):
            with pytest.raises(BundleError, match=r"at most 1 B go through the scheduler") as caught:
                await sync_code(driver, bundle)
            assert not caught.value.retryable
            assert "where another tool packs it; or set daskbridge.bundle-store" in caught.value.__notes__[0]

    bounded(scenario)


def test_time_is_bounded(tmp_path, cache):
    bundle = make(tmp_path, "one", "ANSWER = 1")

    async def scenario():
        async with cluster(workers=1) as (scheduler, driver):
            never = asyncio.Event()

            async def hang(**_):
                await never.wait()

            async with worker(scheduler, "slow") as slow:
                slow.scheduler.daskbridge_code_report = hang
                with pytest.raises(
                    CodeNotDelivered, match=f"not done within.*\n  {slow.address}: had not told yet"
                ):
                    await sync_code(driver, bundle, timeout=0.5)
                never.set()

    bounded(scenario)


def test_who_joins_while_others_are_waited_for_is_not_waited_for():
    answers = [["early"], ["early", "late"], ["late"]]

    async def status():
        return {"missing": answers.pop(0)}

    assert asyncio.run(all_told(status)) == {"missing": ["late"]}
    assert answers == []
