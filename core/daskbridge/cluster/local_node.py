"""Run a scheduler or a set of nannies: what ``local`` starts as clean processes.

The first line on standard input says what to be; further lines are orders; its end is the end.
Replies leave through what was standard output, so that user code that prints can't break them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Nanny

#: Seconds that a worker gets to end its task, and that all get before their process group is killed.
WORKER_GRACE, GRACE = 1.0, 4.0


def main() -> None:
    """Take the role that the first line names and play it until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def reply(**message: Any) -> None:  # noqa: ANN401 -- any JSON
        replies.write(json.dumps(message) + "\n")

    import distributed  # noqa: F401 -- paid for while the driver is still busy

    spec = json.loads(sys.stdin.readline() or "null")
    if spec is not None:
        role = scheduler if spec["role"] == "scheduler" else workers
        asyncio.run(role(spec, reply))


async def scheduler(spec: dict[str, Any], reply: Callable[..., None]) -> None:
    """Run a scheduler on the loopback interface and reply its address."""
    from distributed import Scheduler

    orders = _orders()
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address=spec["dashboard"]) as node:
        reply(address=node.address)
        while await orders.get() is not None:
            pass


async def workers(spec: dict[str, Any], reply: Callable[..., None]) -> None:
    """Run nannies for the groups of ``spec`` and bring each group to the number that orders name."""
    nannies: dict[str, Nanny] = {}
    orders, starting = _orders(), set[asyncio.Task[None]]()

    async def start(group: str, name: str) -> None:
        from distributed import Nanny

        try:
            nannies[name] = Nanny(
                spec["scheduler"], name=name, host="127.0.0.1", dashboard=False, **spec["groups"][group]
            )
            await nannies[name]
        except Exception as error:  # noqa: BLE001 -- whatever keeps a worker from starting is reported
            nannies.pop(name, None)
            reply(failed=name, error=f"{type(error).__name__}: {error}")

    async def scale(group: str, number: int) -> None:
        members = [name for name in nannies if name.rpartition("-")[0] == group]
        for name in members[number:]:
            await nannies.pop(name).close(timeout=WORKER_GRACE, reason="scaled down")
        taken = members[:number]
        fresh = (f"{group}-{index}" for index in range(number + len(members)))
        for name in [name for name in fresh if name not in taken][: number - len(taken)]:
            task = asyncio.create_task(start(group, name))
            starting.add(task)
            task.add_done_callback(starting.discard)

    while (order := await orders.get()) is not None:
        await scale(order["group"], order["number"])
    for task in list(starting):
        task.cancel()
    ends = (nanny.close(timeout=WORKER_GRACE, reason="cluster closed") for nanny in nannies.values())
    for end in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(
            end, BaseException
        ):  # a nanny that is still starting can't close; the process ends anyway
            sys.stderr.write(f"a worker did not close in order: {end!r}\n")


def _orders() -> asyncio.Queue[dict[str, Any] | None]:
    """Read standard input in a thread; its end is None, and a kill for those who don't heed it."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

    def put(order: dict[str, Any] | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, order)

    def read() -> None:
        for line in sys.stdin:
            put(json.loads(line))
        put(None)
        threading.Event().wait(GRACE)  # a node that ends in time takes this thread along
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=read, name="orders", daemon=True).start()
    return queue


if __name__ == "__main__":
    main()
