"""New code in place of old on a scheduler: refused where it can't be, with nothing changed."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import dask.config
import pytest
from distributed import Client, Scheduler, Worker

from daskbridge.code import CodeSpec, build_bundle, changes, exchange_code, forget_code, receipts, sync_code
from daskbridge.errors import BundleError, CodeNotDelivered
from daskbridge.node.activate import activate, deactivate, exchange
from daskbridge.node.install import open_cache


@pytest.fixture(autouse=True)
def cache(tmp_path):
    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "cache")}):
        yield


def make(tmp_path, version):
    root = tmp_path / f"version-{version}"
    root.mkdir()
    (root / "exchanged_module.py").write_text(f"VERSION = {version}")
    return build_bundle(CodeSpec([root]), directory=root)


@contextlib.asynccontextmanager
async def cluster():
    options = {"host": "127.0.0.1", "dashboard": False}
    async with (
        Scheduler(port=0, dashboard_address="127.0.0.1:0", **options) as scheduler,
        Worker(scheduler.address, name="only", nthreads=1, **options),
        Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
    ):
        yield scheduler, client


def bounded(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 60))


def ask():
    import exchanged_module

    return exchanged_module.VERSION


async def renew():
    """Have no workers to start."""


@pytest.mark.parametrize(
    ("renewing", "kind", "words"),
    [
        (None, BundleError, "nobody would start these workers again, which have no nanny: only"),
        (renew, CodeNotDelivered, "is shared with other nodes"),
    ],
    ids=["no nanny", "one process"],
)
def test_a_refusal_leaves_the_old_code_and_nothing_else(tmp_path, renewing, kind, words):
    old, new = make(tmp_path, 1), make(tmp_path, 2)

    async def scenario():
        async with cluster() as (scheduler, client):
            await sync_code(client, old)
            kept = client.submit(ask, pure=False)
            assert await kept == 1
            handlers, plugins = sorted(scheduler.handlers), sorted(scheduler.plugins)
            with pytest.raises(kind, match=words) as caught:
                await exchange_code(client, old, new, exclusive=True, mine=[client.id], renew=renewing)
            assert renewing is None or f"all nodes still have {old.digest[:12]}" in str(caught.value)
            assert (sorted(scheduler.handlers), sorted(scheduler.plugins)) == (handlers, plugins)
            assert {receipt.digest for receipt in await receipts(client)} == {old.digest}
            assert await kept == 1
            assert await client.submit(ask, pure=False) == 1
            await forget_code(client)

    bounded(scenario)
    assert "exchanged_module" not in sys.modules
    assert not [*(tmp_path / "cache" / "v1" / "staging").iterdir()]


def test_without_code_there_is_nothing_to_exchange(tmp_path):
    old, new = make(tmp_path, 1), make(tmp_path, 2)

    async def scenario():
        async with cluster() as (scheduler, client):
            with pytest.raises(CodeNotDelivered, match="the scheduler has no code of daskbridge's"):
                await exchange_code(client, old, new, exclusive=True, mine=[], renew=renew)
            assert not [name for name in scheduler.handlers if "daskbridge" in name]

    bounded(scenario)


def test_a_process_exchanges_the_modules_of_one_tree_for_those_of_another(tmp_path):
    bundles = [make(tmp_path, version) for version in (1, 2)]
    host = open_cache()

    def installed(bundle):
        return host.install(bundle.reference, [("file", lambda: [bundle.archive.read_bytes()])])

    old, new = map(installed, bundles)
    activate(bundles[0].reference, old)
    assert ask() == 1
    exchange(old, bundles[1].reference, new)
    assert ask() == 2
    deactivate(new)
    with pytest.raises(ModuleNotFoundError):
        ask()


def test_what_differs_is_said_with_some_names(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    for number in range(9):
        (root / f"module_{number}.py").write_text("1")
    old = build_bundle(CodeSpec([root]))
    for number in range(8):
        (root / f"module_{number}.py").write_text("2")
    (root / "module_8.py").rename(root / "module_9.py")
    words = changes(old, build_bundle(CodeSpec([root])))
    some = ", ".join(f"module_{number}.py" for number in range(5))
    assert words == f"changed: {some} and 3 more; added: module_9.py; removed: module_8.py"
    assert changes(old, old) == ""
