"""The address of a store holds credentials: only who fetches from it sees it."""

from __future__ import annotations

import pytest
from tests.nodes import dask_nodes

TOKEN = "hunter2"
PATIENCE = 60

MAIN = """
import logging
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)  # all that anybody says
logging.getLogger("fsspec").setLevel("INFO")  # below that, its drivers log each path: the user's choice
import helper
from daskbridge.code import build_bundle, project_spec, publish
from daskbridge.settings import setting
WHERE = os.environ.get("CLUSTER")

def run(code):
    return transient(Dask(), provisioner=Existing(WHERE) if WHERE else "local", code=code)

def said(cluster):
    client, found = cluster.client, {}
    def plugins(dask_scheduler):
        each = (dask_scheduler.plugins, dask_scheduler.worker_plugins, dask_scheduler.nanny_plugins)
        return repr([repr(list(known)) for known in each]) + repr(list(dask_scheduler.plugins.values()))
    def worker_plugins(dask_worker):
        return repr(dask_worker.plugins) + repr(os.environ.get("PYTHONPATH"))
    found["plugins"] = client.run_on_scheduler(plugins) + repr(client.run(worker_plugins))
    found["events"] = repr(client.get_events())
    found["logs"] = repr(client.get_scheduler_logs(n=100000)) + repr(client.get_worker_logs(n=100000))
    known = (cluster, str(cluster), vars(cluster), client, client.scheduler_info())
    found["about"] = repr([repr(each) for each in known])
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    if WHERE:
        processes += [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        processes += [psutil.Process(pid) for pid in client.run(os.getpid, nanny=True).values()]
    found["arguments"] = repr([process.cmdline() for process in processes])
    return found
"""


@pytest.fixture(scope="module")
def loud():
    """Let Dask log all it can, here and in what is started from now on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_LOGGING__DISTRIBUTED", "debug")
        yield


@pytest.fixture(scope="module")
def everything(loud, tmp_path_factory):
    """Run a scheduler and a worker that log all they can."""
    with dask_nodes(tmp_path_factory.mktemp("existing")) as made:
        made.scheduler("--no-dashboard")
        made.worker("only", "--nanny")
        yield made


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Name a store by an address with a token, as a user does."""
    monkeypatch.setenv("DASK_DASKBRIDGE__BUNDLE_STORE", f"file://{tmp_path}/store?token={TOKEN}")
    return tmp_path / f"store?token={TOKEN}"


WORKS = """
with run(PROJECT) as cluster:
    hide()
    answer = cluster.client.submit(helper.one).result()
    found = said(cluster)
report(answer=answer, **found)
"""
HELPER = "def one():\n    return 1\n"


@pytest.mark.parametrize("target", ["local", "existing"])
def test_a_run_with_a_store_says_its_address_nowhere(drive, everything, store, monkeypatch, target):
    if target == "existing":
        monkeypatch.setenv("CLUSTER", everything.address)
    driver = drive(MAIN + WORKS, helper=HELPER)
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert (code, told and told["answer"]) == (0, 1), errors[-3000:]
    assert [name for name, text in told.items() if TOKEN in str(text)] == []
    assert "daskbridge-code" in told["plugins"] or target == "local"
    assert "DEBUG" in errors
    assert [line for line in errors.splitlines() if TOKEN in line] == []
    assert target == "local" or "DEBUG" in everything.log
    assert [line for line in everything.log.splitlines() if TOKEN in line] == []
    assert len(list(store.iterdir())) == 1


LOST = """
with build_bundle(project_spec(PROJECT)) as packed:
    bundle = publish(packed, setting("bundle-store"))
    print(repr(bundle), str(bundle), file=sys.stderr)
    for file in PROJECT.parent.glob("store*/*"):
        file.unlink()
    with run(bundle):
        pass
"""


def test_a_fetch_that_fails_says_the_address_nowhere(drive, everything, store, monkeypatch):
    monkeypatch.setenv("CLUSTER", everything.address)
    code, errors = drive(MAIN + LOST, helper=HELPER).wait()
    assert code == 1
    assert "FileNotFoundError while reading the store" in errors
    assert [line for line in errors.splitlines() if TOKEN in line] == []
    assert [line for line in everything.log.splitlines() if TOKEN in line] == []


ADDRESSES = [
    f"ftp://user:{TOKEN}@127.0.0.1:1/bundles",
    f"s3://user:{TOKEN}@host/bucket",
    f"nonsense://host/bucket?sig={TOKEN}",
    f"file:///dev/null/{TOKEN}",
    f"simplecache::ftp://user:{TOKEN}@127.0.0.1:1/bundles",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.partition(":")[0])
def test_a_store_that_refuses_is_not_named_with_its_credentials(loud, drive, monkeypatch, address):
    monkeypatch.setenv("DASK_DASKBRIDGE__BUNDLE_STORE", address)
    code, errors = drive(MAIN + "with run(PROJECT):\n    pass\n", helper=HELPER).wait()
    assert code == 1
    assert "the store refused the code bundle" in errors
    assert [line for line in errors.splitlines() if TOKEN in line] == []
