"""How far a bundle has come is told while it is packed, sent and installed."""

from __future__ import annotations

import asyncio
import os

import dask.config
from distributed import Client, Scheduler, Worker
from tests.nodes import dask_nodes, own_cache

from daskbridge.code import CodeSpec, build_bundle, publish, sync_code
from daskbridge.node.install import HostCache

MIB = 1 << 20


def packed(tmp_path, mib, **options):
    root = tmp_path / "project"
    root.mkdir()
    for number in range(mib):
        (root / f"noise{number}.bin").write_bytes(os.urandom(MIB))
    return build_bundle(CodeSpec([root]), directory=tmp_path, **options)


def test_packing_tells_the_bytes_that_are_done_once_a_mib(tmp_path):
    told = []
    packed(tmp_path, 3, progress=lambda done, total: told.append((done, total)))
    assert 2 <= len(told) <= 4
    assert told == sorted(told)
    assert told[-1] == (3 * MIB, 3 * MIB)


def test_a_store_is_told_to_be_filled(tmp_path):
    told = []
    bundle = packed(tmp_path, 2)
    publish(bundle, f"file://{tmp_path}/store", tell=told.append)
    assert told[0] == "sending the code to the store, 1.0 of 2.0 MiB"
    told.clear()
    publish(bundle, f"file://{tmp_path}/store", tell=told.append)
    assert told == []


def test_sending_tells_the_bytes_and_then_the_nodes_that_have_the_code(tmp_path):
    """A worker of another host, as it were, waits for its cache until somebody has been told of it."""
    bundle, elsewhere, told = packed(tmp_path, 2), tmp_path / "elsewhere", []
    cache, locked = HostCache(str(elsewhere)), asyncio.Event()

    def tell(words):
        told.append(words)
        if words.startswith("code on"):
            locked.set()

    async def scenario():
        options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        async with (
            Scheduler(**options) as scheduler,
            Worker(scheduler.address, name="quick", nthreads=1, host="127.0.0.1", dashboard=False),
            Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
        ):
            with dask_nodes(tmp_path / "nodes") as made:
                made.worker("distant", scheduler=scheduler.address, **own_cache(elsewhere))
                await client.wait_for_workers(2)
                with cache.locked(bundle.digest):
                    syncing = asyncio.ensure_future(sync_code(client, bundle, tell=tell))
                    await locked.wait()
                assert len(await syncing) == 3

    with dask.config.set({"daskbridge.cache-directory": str(tmp_path / "cache")}):
        asyncio.run(asyncio.wait_for(scenario(), 60))
    assert told[:2] == [f"sending the code to the scheduler, {sent}.0 of 2.0 MiB" for sent in (1, 2)]
    assert "code on 2 of 3 nodes" in told
