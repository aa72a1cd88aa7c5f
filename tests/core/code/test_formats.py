"""Nodes whose Python can't read zstd get the same code in gzip, from the scheduler."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess

import pytest
from distributed import Client
from tests.environments import driver_without

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
def start(tmp_path, pythons):
    """Start a Dask process in an environment, on a host of its own as far as the cache goes."""
    started = []

    def make(kind, name, program, *arguments):
        directory = tmp_path / name
        directory.mkdir()
        hidden = ("PYTHON", "DASK_", "XDG_")
        environ = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        environ["DASK_DASKBRIDGE__CACHE_DIRECTORY"] = str(directory / "cache")
        command = [pythons[kind], "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", *arguments]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                list(map(str, command)), cwd=directory, env=environ, stdout=log, stderr=log
            )
        started.append(process)

    yield make
    for process in started:
        process.kill()
    for process in started:
        process.wait(PATIENCE)


@pytest.fixture
def hidden(tmp_path, project):
    """Pack a project, and hide it."""

    def make(stored):
        root = project({"letters.py": f"TEXT = {TEXT!r}"})
        bundle = build_bundle(CodeSpec([root]), directory=tmp_path)
        root.rename(tmp_path / "hidden")
        return publish(bundle, f"file://{tmp_path}/store") if stored else bundle

    make.place = tmp_path
    return make


async def ship(start, tmp_path, bundle, scheduler, workers):
    def read():
        import letters

        return letters.__file__, letters.TEXT

    file = tmp_path / "scheduler.json"
    start(scheduler, "scheduler", "dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", file)
    for number, kind in enumerate(workers):
        name = f"{kind}-{number}"
        start(
            kind,
            name,
            "dask_worker",
            "--no-dashboard",
            "--no-nanny",
            "--name",
            name,
            "--scheduler-file",
            file,
        )
    async with asyncio.timeout(PATIENCE):
        while not (file.exists() and file.read_text().endswith("}")):
            await asyncio.sleep(0.05)
        async with Client(scheduler_file=str(file), asynchronous=True) as client:
            await client.wait_for_workers(len(workers))
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
def test_every_node_gets_the_code_in_a_format_that_it_reads(hidden, start, scheduler, stored, sources):
    bundle = hidden(stored)
    assert bundle.format == "tar.zst"
    told, found = asyncio.run(ship(start, hidden.place, bundle, scheduler, ["gzip", "zstd"]))
    assert (told["scheduler"], told["gzip-0"], told["zstd-1"]) == sources
    for file, text in found.values():
        assert f"/cache/v1/{bundle.digest}/tree/" in file
        assert text == TEXT
