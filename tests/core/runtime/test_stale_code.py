"""Tasks and results of code that the nodes no longer have: they end in a clear error, and never run."""

from __future__ import annotations

import json

import pytest
from tests.editing import program, told_by

STORY = """
    from distributed import Client, as_completed, fire_and_forget, wait
    import helper

    def blocked(places, then):
        place, go = places
        Path(place).touch()
        while not Path(go).exists():
            time.sleep(0.01)
        Path(then).write_text("old code went on")
        return then

    def slow(_):
        time.sleep(0.2)

    here = PROJECT.parent
    with transient(Dask(workers=WorkerGroup(1, threads=1))) as cluster:
        client, told = cluster.client, {}
        kept = client.submit(helper.version, 0)
        kept.result()
        failed = client.submit(divmod, 1, 0)
        failed.exception()
        running = client.submit(blocked, (str(here / "began"), str(here / "go")), str(here / "then"))
        wait_for((here / "began").exists)
        waiting = client.map(helper.version, range(3))
        dependent = client.submit(helper.version, running)
        completed = as_completed(waiting, with_results=True)
        got = {}
        def listen():
            got["result"] = raised(waiting[0].result)
        listener = threading.Thread(target=listen)
        listener.start()
        edit(2)
        cluster.sync(policy="restart")
        (here / "go").touch()
        listener.join(10)
        told["thread"] = got
        futures = {"kept": kept, "running": running, "dependent": dependent, "failed": failed}
        for name, future in futures.items():
            told[name] = [future.status, raised(future.result)]
        told["gather"] = raised(client.gather, waiting)
        told["as completed"] = raised(next, completed)
        told["wait"] = raised(lambda: len(wait(waiting, timeout=10).done))
        told["built on"] = raised(client.submit(str, kept).result, timeout=10)
        with hidden():
            # the same key as before: it is computed anew
            told["again"] = client.submit(helper.version, 0).result(timeout=10)
        told["went on"] = (here / "then").exists()
        report(**told)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return told_by(tmp_path_factory.mktemp("stale"), STORY)


def is_stale(error):
    kind, message, hint = error
    assert kind == "StaleCode"
    assert "is of the code" in message
    assert hint.startswith("hint: import the new code")
    return True


@pytest.mark.parametrize("name", ["kept", "running", "dependent", "failed"])
def test_a_future_of_before_ends_in_an_error_that_says_so(told, name):
    status, error = told[name]
    assert status == "error"
    assert is_stale(error)


@pytest.mark.parametrize("name", ["gather", "as completed"])
def test_who_waits_for_several_gets_that_error(told, name):
    assert is_stale(told[name])


def test_who_waited_while_the_code_was_exchanged_gets_that_error(told):
    assert is_stale(told["thread"]["result"])


def test_wait_returns(told):
    assert told["wait"] == "3"


def test_what_is_built_on_a_result_of_before_fails(told):
    assert told["built on"][0] in {"StaleCode", "FutureCancelledError", "CancelledError"}


def test_the_same_call_is_computed_anew_with_the_new_code(told):
    assert told["again"] == 2


def test_a_task_that_ran_is_ended(told):
    assert told["went on"] is False


OWNER = """
    from distributed import Client

    third = PROJECT.with_name("third")
    third.mkdir()
    (third / "helper.py").write_text("V = 3")
    with transient(Dask(workers=WorkerGroup(1)), name="owner") as cluster:
        other = subprocess.Popen(
            [sys.executable, str(PROJECT / "other.py"), cluster.scheduler_address, str(third)],
            env=os.environ | cluster.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        told = {"first": json.loads(other.stdout.readline())}
        with Client(cluster.scheduler_address, security=cluster.security, set_as_default=False) as bare:
            lost = bare.submit(ask, pure=False)
            lost.result()
            mine = cluster.client.submit(helper.version, 7)
            mine.result()
            edit(2)
            cluster.sync(policy="restart")
            again = cluster.client.submit(helper.version, 7)
            told["mine"] = again.result()
            told["bare, of before"] = raised(lost.result)
            with hidden():
                told["bare"] = bare.submit(ask, pure=False).result()
                print(file=other.stdin, flush=True)
                told["other"] = json.loads(other.stdout.readline())
            print(file=other.stdin, flush=True)
            told["other later"] = json.loads(other.stdout.readline())
            told["mine still"] = again.status, again.result()
            other.stdin.close()
            told["other ended"] = other.wait(30)
            told["after it left"] = versions(cluster)
    report(**told)
"""
OTHER = """
import json, sys
import distributed
from daskbridge import *
import helper

def raised(call, *arguments, **keywords):
    try:
        return repr(call(*arguments, **keywords))
    except BaseException as error:
        return [type(error).__module__, type(error).__name__, str(error), *getattr(error, "__notes__", ())]

def tell(**told):
    print(json.dumps(told), flush=True)

with transient(Dask(), provisioner=Existing(sys.argv[1])) as cluster:
    pending = cluster.client.submit(helper.version, 1)
    tell(found=pending.result())
    input()
    tell(
        pending=raised(pending.result),
        submit=raised(cluster.client.submit(helper.version, 7).result, timeout=10),
        map=raised(cluster.client.gather, cluster.client.map(helper.version, range(50))),
    )
    input()
    tell(
        unknown=raised(cluster.sync, sys.argv[2], policy="restart"),
        known=len(cluster.sync()),
        then=cluster.client.submit(helper.version, 7).result(),
    )
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    directory = tmp_path_factory.mktemp("two")
    write = f"    import helper, subprocess\n    (PROJECT / 'other.py').write_text({json.dumps(OTHER)})\n"
    return told_by(directory, write + OWNER)


def test_a_second_driver_with_the_old_code_is_refused_and_told_why(two):
    assert two["first"] == {"found": 1}
    for name in ("pending", "submit", "map"):
        module, *error = two["other"][name]
        assert module == "daskbridge.errors"
        assert is_stale(error)


def test_the_same_key_of_a_driver_with_the_new_code_is_not_touched_by_that(two):
    assert two["mine"] == 2
    assert two["mine still"] == ["finished", 2]


def test_a_bare_client_says_no_code_and_is_not_checked(two):
    assert two["bare"] == 2
    kind, message = two["bare, of before"][:2]
    assert kind.endswith("CancelledError")
    assert "restart" in message


def test_a_guest_can_not_exchange_the_code_of_a_cluster(two):
    _, kind, message, _ = two["other later"]["unknown"]
    assert kind == "BundleError"
    assert message == "new code needs new workers, and others use this code: nothing was changed"


def test_a_guest_whose_project_has_the_new_code_by_now_says_so_by_a_sync(two):
    assert two["other later"]["known"] == 2
    assert two["other later"]["then"] == 2


def test_a_guest_that_leaves_takes_nothing_along(two):
    assert two["other ended"] == 0
    assert two["after it left"] == [[2], 2]


LATE = """
    import asyncio
    from distributed import Worker
    from daskbridge.code import CodeSpec, build_bundle
    from daskbridge.node.code import DownloadCodeBundleWorkerPlugin

    async def join(cluster, reference):
        options = {"host": "127.0.0.1", "dashboard": False, "security": cluster.security, "protocol": "tls"}
        plugins = [DownloadCodeBundleWorkerPlugin(reference)]
        async with Worker(cluster.scheduler_address, name="late", plugins=plugins, **options) as worker:
            return worker.address

    with build_bundle(CodeSpec([PROJECT])) as old:
        with transient(Dask(workers=WorkerGroup(1)), code=PROJECT) as cluster:
            edit(2)
            cluster.sync(policy="restart")
            before = workers(cluster)
            told = {"late": raised(asyncio.run, join(cluster, old.reference))}
            told["same"] = workers(cluster) == before
            told["after"] = versions(cluster)
            edit(3)
            told["next"] = len(cluster.sync(policy="restart")), versions(cluster)
    report(**told)
"""


def test_a_worker_that_comes_with_the_old_code_is_turned_away_and_does_no_harm(tmp_path):
    with program(tmp_path, LATE) as driver:
        told = next(driver.reports(), None)
        code, errors = driver.wait()
    assert code == 0, errors
    assert told["late"][0] == "RuntimeError"
    assert told["same"] is True
    assert told["after"] == [[2], 2]
    assert told["next"] == [2, [[3], 3]]


INTERRUPT = """
    import _thread

    with transient(Dask(workers=WorkerGroup(2))) as cluster:
        edit(2)
        interrupted = 0
        for delay in (0.005, 0.02, 0.05):
            timer = threading.Timer(delay, _thread.interrupt_main)
            try:
                timer.start()
                cluster.sync(policy="restart")
                timer.join()
            except KeyboardInterrupt:
                interrupted += 1
            receipts = cluster.sync(policy="restart")
            assert versions(cluster)[1] == cluster.client.submit(ask, pure=False).result()
            edit(versions(cluster)[1] + 1)
        report(interrupted=interrupted, receipts=len(receipts))
"""


def test_an_interrupt_does_not_stop_half_way(tmp_path):
    assert told_by(tmp_path, INTERRUPT) == {"interrupted": 3, "receipts": 3}
