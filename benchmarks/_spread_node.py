"""Run a scheduler or workers until standard input ends: ``python _spread_node.py ADDRESS|- COUNT NAME``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from distributed import Scheduler, Worker


async def scheduler() -> None:
    """Serve on the loopback and say where."""
    async with Scheduler(host="127.0.0.1", dashboard=False, dashboard_address="127.0.0.1:0") as running:
        print(running.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def workers(address: str, count: int, name: str) -> None:
    """Run workers that share this process; they differ by their names and directories."""
    async with AsyncExitStack() as stack:
        for number in range(count):
            worker = Worker(
                address,
                name=f"{name}-{number}",
                nthreads=1,
                host="127.0.0.1",
                dashboard=False,
                memory_limit=None,
            )
            await stack.enter_async_context(worker)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    where, how_many, called = sys.argv[1:]
    asyncio.run(scheduler() if where == "-" else workers(where, int(how_many), called))
