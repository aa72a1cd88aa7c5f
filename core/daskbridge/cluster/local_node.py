"""Run a scheduler or a set of nannies: what ``local`` starts as clean processes.

The first line on standard input says what to be; further lines are orders; its end is the end.
Replies leave through what was standard output, so that user code that prints can't break them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sys
import threading
from functools import partial
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
    tidy = partial(_tidy, os.path.dirname(os.getcwd()), os.getppid())  # noqa: PTH109, PTH120 -- light

    def reply(**message: Any) -> None:  # noqa: ANN401 -- any JSON
        replies.write(json.dumps(message) + "\n")

    import distributed  # noqa: F401 -- paid for while the driver is still busy

    spec = json.loads(sys.stdin.readline() or "null")
    if spec is not None:
        role = scheduler if spec["role"] == "scheduler" else workers
        asyncio.run(role(spec, reply, tidy))
    tidy()


def _tidy(directory: str, driver: int) -> None:
    """Remove the cluster's directory if the driver, which does that, ended before its nodes."""
    if os.getppid() != driver:
        shutil.rmtree(directory, ignore_errors=True)  # another node may still write, and tidies later


async def scheduler(spec: dict[str, Any], reply: Callable[..., None], tidy: Callable[[], None]) -> None:
    """Run a scheduler on the loopback interface and reply its address."""
    from distributed import Scheduler

    orders = _orders(tidy)
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address=spec["dashboard"]) as node:
        reply(address=node.address)
        while await orders.get() is not None:
            pass


async def workers(spec: dict[str, Any], reply: Callable[..., None], tidy: Callable[[], None]) -> None:
    """Run nannies for the groups of ``spec`` and bring each group to the number that orders name."""
    orders, nannies = _orders(tidy), Nannies(spec, reply)
    while (order := await orders.get()) is not None:
        nannies.scale(order["group"], order["number"])
    await nannies.close()


class Nannies:
    """Own the nannies of all groups; reply who started, and who failed to with how many that leaves."""

    def __init__(self, spec: dict[str, Any], reply: Callable[..., None]) -> None:
        self._spec = spec
        self._reply = reply
        self._groups: dict[str, dict[str, asyncio.Task[Nanny | None]]] = {
            group: {} for group in spec["groups"]
        }
        self._numbers = {group: itertools.count() for group in self._groups}
        self._starting: set[asyncio.Task[Nanny | None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def scale(self, group: str, number: int, reason: str = "scaled down") -> None:
        """Begin to start or to end workers of one group; a name is never used twice."""
        members = self._groups[group]
        for name in list(members)[number:]:
            ending = asyncio.create_task(self._end(name, members.pop(name), reason))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        for _ in range(number - len(members)):
            name = f"{group}-{next(self._numbers[group])}"
            starting = members[name] = asyncio.create_task(self._start(group, name))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)

    async def close(self) -> None:
        """End all; those that are still starting end with the process."""
        for group in self._groups:
            self.scale(group, 0, "cluster closed")
        for starting in self._starting:
            starting.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)  # only cancels: errors are written

    async def _start(self, group: str, name: str) -> Nanny | None:
        from distributed import Nanny

        try:
            nanny = Nanny(
                self._spec["scheduler"],
                name=name,
                host="127.0.0.1",
                dashboard=False,
                **self._spec["groups"][group],
            )
            await nanny
        except Exception as error:  # noqa: BLE001 -- whatever keeps a worker from starting is reported
            if self._groups[group].pop(name, None):  # else it is not wanted any more
                left = sum(map(len, self._groups.values()))
                self._reply(failed=name, error=f"{type(error).__name__}: {error}", left=left)
            return None
        self._reply(started=name)
        return nanny

    async def _end(self, name: str, starting: asyncio.Task[Nanny | None], reason: str) -> None:
        try:
            if nanny := await starting:  # one that is still starting can't close
                await nanny.close(timeout=WORKER_GRACE, reason=reason)
        except Exception as error:  # noqa: BLE001 -- the others end as well
            sys.stderr.write(f"worker {name} did not close in order: {error!r}\n")


def _orders(tidy: Callable[[], None]) -> asyncio.Queue[dict[str, Any] | None]:
    """Read standard input in a thread; its end is None, and a kill for those who don't heed it."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

    def put(order: dict[str, Any] | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, order)

    def read() -> None:
        for line in sys.stdin:
            put(json.loads(line))
        put(None)
        threading.Event().wait(GRACE)  # a node that ends in time takes this thread along
        tidy()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=read, name="orders", daemon=True).start()
    return queue


if __name__ == "__main__":
    main()
