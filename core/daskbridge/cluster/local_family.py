"""The processes of one local cluster: started, supervised, restarted, ended."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daskbridge.cluster.local_birth import Node
    from daskbridge.cluster.local_zygote import Zygote

#: Seconds between two looks at what workers use.
LOOK = 0.1
#: Seconds that a retired worker has to hand over its data.
LEAVE = 30.0
#: Seconds before a worker that died is started again: at first, at most; who lived longer starts at once.
AGAIN, SLOWEST, LONG = 0.1, 5.0, 5.0
#: How often in a row a worker that has been there may fail to start before it is given up.
TRIES = 10
#: The one reason of an orderly end after which a worker comes again: ``Client.restart()``.
RESTART = "scheduler-remove-worker"
#: Topics of events; the first is Dask's own for what a nanny does.
MEMORY_TOPIC, TOPIC = "worker-restart-memory", "daskbridge"


class Family:
    """Own a scheduler and its workers; ``tell`` reports to the driver."""

    def __init__(self, zygote: Zygote, order: dict[str, Any], lifeline: int) -> None:
        self.lifeline = lifeline
        self.closed = False
        self._zygote = zygote
        self._order = order
        self._numbers = {group: itertools.count() for group in order["groups"]}
        self._nodes: dict[str, Node] = {}
        self._wanted: dict[str, dict[str, int]] = {group: {} for group in order["groups"]}
        self._again: dict[str, float] = {}
        self._served: set[str] = set()
        self._kill_at: dict[str, float] = {}
        self._address = ""
        self._closing = ""
        self._looked = 0.0
        self._temporary = os.path.join(order["directory"], "tmp")

    def start(self) -> None:
        """Start all at once: workers get ready while the scheduler does.

        The directory is made here, so that somebody removes it whichever of driver and supervisor ends first.
        """
        try:
            os.mkdir(self._order["directory"], 0o700)
            os.mkdir(self._temporary)
            self._bear("scheduler", None)
        except OSError as error:
            self.tell("lost", why=f"the cluster could not be started: {error}")
            self.close("it could not be started")
        for group, about in self._order["groups"].items():
            self.scale(group, about["number"])

    def tell(self, event: str, **told: Any) -> None:  # noqa: ANN401 -- any JSON
        """Report to the driver."""
        self._zygote.tell(cluster=self._order["cluster"], event=event, **told)

    def scale(self, group: str, number: int) -> None:
        """Begin to start or to end workers of one group; a name is never given twice."""
        if self._closing:
            return
        wanted = self._wanted[group]
        surplus = sorted(wanted, key=self._seniority)[number:]
        self._let_go(surplus)
        for _ in range(number - len(wanted)):
            name = f"{group}-{next(self._numbers[group])}"
            wanted[name] = 0
            self._bear_worker(name, group)

    def renew(self, plugins: list[str]) -> None:
        """End all workers at once, and start as many that have these plugins from their start."""
        if self._closing:
            return
        self._order["all"]["worker_plugins"] = plugins
        for node in [each for each in self._nodes.values() if each.group is not None]:
            self._kill_at.pop(node.name, None)
            del self._nodes[node.name]
            node.name += f", until {node.pid} has ended"  # its name goes to another one
            self._nodes[node.name] = node
            node.kill()
        self._again.clear()
        for group, wanted in self._wanted.items():
            for name in wanted:
                wanted[name] = 0
                self._bear_worker(name, group)

    def close(self, reason: str) -> None:
        """Begin to end all; what does not end in time is killed."""
        if self._closing:
            return
        self._closing = reason
        self._again.clear()
        for node in self._nodes.values():
            if node.address or node.name == "scheduler":
                node.order(close=reason)
                self._kill_at[node.name] = time.monotonic() + self._order["grace"]
            else:
                node.kill()  # who is still starting has nothing to end in order

    def said(self, node: Node, message: dict[str, Any]) -> None:
        """Take what a node says of itself."""
        node.error = message.get("error", node.error)
        node.reason = message.get("reason", node.reason)
        if "scale" in message:
            self.scale("default", message["scale"])
        if not self._closing:
            self._let_go(message.get("retired", ()))
        if "address" not in message:
            return
        node.address = message["address"]
        if node.group is not None:
            self._served.add(node.name)
        else:
            self._address = node.address
            for other in self._nodes.values():
                if other is not node:
                    other.order(scheduler=self._address)
        self.tell("started", name=node.name, address=node.address, pid=node.pid)

    @property
    def scheduler(self) -> Node | None:
        """Return the scheduler's node, while it runs."""
        return self._nodes.get("scheduler")

    def exited(self, node: Node, status: int) -> None:
        """Start a worker again that died, report one that could not start; a scheduler's end ends all."""
        del self._nodes[node.name]
        self._kill_at.pop(node.name, None)
        code = os.waitstatus_to_exitcode(status)
        why = node.reason if node.reason and code == 0 else _words(code)
        if node.group is None:
            if not self._closing:
                self.tell("ended", name=node.name, why=why, error="" if node.address else node.error)
            self.close("the scheduler ended")
        elif not self._closing and node.name in self._wanted[node.group]:
            self._worker_exited(node, code, why)

    def tick(self, now: float) -> float:
        """Do what is due; return when the next thing is."""
        for name, due in list(self._again.items()):
            if due <= now:
                del self._again[name]
                self._bear_worker(name, next(each for each in self._wanted if name in self._wanted[each]))
        for name, due in list(self._kill_at.items()):
            if due <= now:
                del self._kill_at[name]
                self._nodes[name].kill()
        limited = [node for node in self._nodes.values() if node.limit and node.address and not self._closing]
        if limited and now - self._looked >= LOOK:
            self._looked = now
            for node in limited:
                self._measure(node)
        if self._closing and not self._nodes:
            self._end()
        return min(
            [
                now + 60,
                *self._again.values(),
                *self._kill_at.values(),
                *([self._looked + LOOK] if limited else []),
            ]
        )

    def abandoned(self) -> None:
        """Remove the directory, since the driver ended that would have."""
        shutil.rmtree(self._order["directory"], ignore_errors=True)

    def _worker_exited(self, node: Node, code: int, why: str) -> None:
        wanted = self._wanted[node.group or ""]
        early = "name taken" in node.error  # the scheduler has not noticed yet that its namesake is gone
        tries = TRIES if node.name in self._served else 0
        wanted_so = code == 0 and node.reason not in {"", RESTART}  # a task's os._exit(0) has no reason
        if not node.address and not early and wanted[node.name] >= tries:
            del wanted[node.name]
            self._count()
            left = sum(map(len, self._wanted.values()))
            self.tell("failed", name=node.name, error=node.error or why, left=left)
        elif node.address and wanted_so and not early:
            del wanted[node.name]
            self._count()
            self.tell("left", name=node.name, why=why)
        else:
            well = node.reason == RESTART or time.monotonic() - node.born > LONG
            wanted[node.name] = 0 if well else wanted[node.name] + 1
            pause = min(AGAIN * 2 ** wanted[node.name], SLOWEST) if wanted[node.name] else 0
            self._again[node.name] = time.monotonic() + pause
            if not early:
                event = {
                    "kind": "worker-restarted",
                    "address": node.address,
                    "name": node.name,
                    "why": node.error or why,
                }
                self._nodes["scheduler"].order(topic=TOPIC, event=event)
                told = f"worker {node.name} ({node.address}) ended: {event['why']}; it starts again"
                self._nodes["scheduler"].order(log=told)

    def _measure(self, node: Node) -> None:
        try:
            used = psutil.Process(node.pid).memory_info().rss
        except (psutil.Error, OSError):
            return  # its exit is told next, or there is no descriptor free for a look
        assert node.limit is not None
        if used > node.limit * self._order["terminate"]:
            mib = f"{used / 2**20:.0f} of {node.limit / 2**20:.0f} MiB"
            node.error = f"above its memory limit: {mib} in use"
            event = {"worker": node.address, "pid": node.pid, "rss": used}
            self._nodes["scheduler"].order(topic=MEMORY_TOPIC, event=event)
            node.kill()

    def _let_go(self, names: Sequence[str]) -> None:
        for name in names:
            for wanted in self._wanted.values():
                wanted.pop(name, None)
            self._again.pop(name, None)
            node = self._nodes.get(name)
            if node is None:
                continue
            if node.address:
                self._kill_at[name] = time.monotonic() + LEAVE
            else:
                node.kill()
        retired = [name for name in names if name in self._nodes and self._nodes[name].address]
        if retired:
            self._nodes["scheduler"].order(retire=retired)
        self._count()

    def _count(self) -> None:
        """Tell who adapts the number of workers how many there are, or are on their way."""
        if self._order["scheduler"]["adapt"] and not self._closing:
            self._nodes["scheduler"].order(number=len(self._wanted["default"]))

    def _seniority(self, name: str) -> tuple[bool, int]:
        node = self._nodes.get(name)
        return not (node and node.address), int(name.rpartition("-")[2])

    def _bear_worker(self, name: str, group: str) -> None:
        """Start a worker, now or when this machine has a process to spare."""
        try:
            self._bear(name, group)
        except OSError:
            self._again[name] = time.monotonic() + SLOWEST

    def _bear(self, name: str, group: str | None) -> None:
        about = self._order["groups"][group] if group else self._order["scheduler"]
        spec = self._order["all"] | {
            "role": "worker" if group else "scheduler",
            "name": name,
            "directory": os.path.join(self._order["directory"], name),
            "log": os.path.join(self._order["directory"], f"{name}.log"),
            "temporary": self._temporary,
            "env": about["env"],
        }
        spec |= {"keywords": about["keywords"]} if group else {"adapt": about["adapt"]}
        limit = about["keywords"]["memory_limit"] if group and self._order["terminate"] else None
        node = self._nodes[name] = self._zygote.bear(self, spec, group, limit)
        self.tell("born", name=name, pid=node.pid)
        if group and self._address:
            node.order(scheduler=self._address)

    def _end(self) -> None:
        self.closed = True
        self.tell("closed", why=self._closing)


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
