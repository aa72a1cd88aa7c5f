"""Nodes whose Python can't read zstd get the same code in gzip, from the scheduler."""

from __future__ import annotations

import asyncio
import random

import pytest
from distributed import Client
from tests.environments import driver_without
from tests.nodes import dask_nodes, own_cache

from daskbridge.code import CodeSpec, build_bundle, publish, sync_code
from daskbridge.node.compress import FORMATS

PATIENCE = 60

pytestmark = pytest.mark.skipif("tar.zst" not in FORMATS, reason="the driver's Python can't write zstd")


#: Some pieces of a transfer.
TEXT = random.Random(0).randbytes(3 << 20).hex()  # noqa: S311 -- no secret


@pytest.fixture(scope="module")
def pythons(tmp_path_factory):
    home = tmp_path_factory.mktemp("environments")
    return {
        "zstd": driver_without(home / "zstd", "daskbridge"),
        "gzip": driver_without(home / "gzip", "daskbridge", "backports"),
    }


@pytest.fixture
def hidden(tmp_path, project):
    """Pack a project, and hide it."""

    def make(stored):
        root = project({"letters.py": f"TEXT = {TEXT!r}"})
        bundle = build_bundle(CodeSpec([root]), directory=tmp_path)
        root.rename(tmp_path / "hidden")
        return publish(bundle, f"file://{tmp_path}/store") if stored else bundle

    return make


@pytest.fixture
def cluster(tmp_path, pythons):
    """Start a cluster whose nodes have these environments, each with a cache of its own."""
    with dask_nodes(tmp_path / "nodes") as made:

        def start(scheduler, *workers):
            made.python = pythons[scheduler]
            made.scheduler(**own_cache(tmp_path / "scheduler" / "cache"))
            for number, kind in enumerate(workers):
                made.python = pythons[kind]
                made.worker(f"{kind}-{number}", **own_cache(tmp_path / f"{number}" / "cache"))
            return made.wait_for(len(workers))

        yield start


async def ship(address, bundle):
    def read():
        import letters

        return letters.__file__, letters.TEXT

    async with asyncio.timeout(PATIENCE), Client(address, asynchronous=True) as client:
        receipts = await sync_code(client, bundle)
        found = await client.run(read)
    return {receipt.name: receipt.source for receipt in receipts}, found


@pytest.mark.parametrize(
    ("scheduler", "stored", "sources"),
    [
        ("gzip", False, ("driver", "scheduler", "scheduler")),
        ("zstd", False, ("driver", "scheduler", "scheduler")),
        ("gzip", True, ("driver", "scheduler", "store")),
        ("zstd", True, ("store", "scheduler", "store")),
    ],
)
def test_every_node_gets_the_code_in_a_format_that_it_reads(hidden, cluster, scheduler, stored, sources):
    bundle = hidden(stored)
    assert bundle.format == "tar.zst"
    told, found = asyncio.run(ship(cluster(scheduler, "gzip", "zstd"), bundle))
    assert (told["scheduler"], told["gzip-0"], told["zstd-1"]) == sources
    for file, text in found.values():
        assert f"/cache/v1/{bundle.digest}/tree/" in file
        assert text == TEXT
