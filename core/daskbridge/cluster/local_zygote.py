"""The process from which local clusters are born: it imports ``distributed`` once, then forks and supervises.

It has one thread and never runs an event loop, so that a fork is safe. It ends with its driver, or
when it has been idle for a while.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil

from daskbridge.cluster._process import default_signals, die_with_parent
from daskbridge.cluster.local_birth import Node, bear
from daskbridge.cluster.local_channel import Channel
from daskbridge.cluster.local_preload import is_single, preload, prepare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daskbridge.cluster.local_family import Family

#: Seconds for the first order to come at least; the driver may still look at its code.
FIRST = 60.0


def main() -> None:
    """Serve the driver at the other end of the socket whose descriptor is the first argument."""
    die_with_parent(signal.SIGTERM)
    default_signals()
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(os.environ.pop("DASKBRIDGE_ZYGOTE"))
    prepare_environment(settings, control)
    if settings["fork"]:
        preload()
    zygote = Zygote(control, fork=settings["fork"] and is_single(), warm=settings["warm"])
    zygote.serve()
    # nothing is left to tidy, and a driver that ends waits
    os._exit(128 + signal.SIGTERM if zygote.terminated else 0)


class Zygote:
    """Take orders for clusters and supervise the processes of all of them, in one loop."""

    def __init__(self, control: socket.socket, *, fork: bool, warm: float) -> None:
        self._control = Channel(control)
        self._fork = fork
        self._warm = warm
        self._families: dict[str, Family] = {}
        self._nodes: dict[int, tuple[Family, Node]] = {}
        self._driver = True
        #: Whether somebody has sent SIGTERM.
        self.terminated = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._hear)
        wake, self._woken = socket.socketpair()
        for end in (wake, self._woken):
            end.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminate)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: self._woken.recv(4096))

    def serve(self) -> None:
        """Do what is ordered until the driver ends, or nothing has been ordered for a while."""
        expires = time.monotonic() + max(self._warm, FIRST)
        while True:
            now = time.monotonic()
            if self.terminated:
                self._lose("SIGTERM")
            due = min((family.tick(now) for family in self._families.values()), default=expires)
            if any(family.closed for family in self._families.values()):
                self._forget_closed()
                expires = now + self._warm
                continue
            if not self._families and not self._driver:
                return
            self._attend()
            ready = self._selector.select(max(0, due - now))
            if not ready and not self._families and time.monotonic() >= expires:
                return  # no order came up to now
            for key, _ in ready:
                key.data()
            self._reap()

    def bear(self, family: Family, spec: dict[str, Any], group: str | None, limit: int | None) -> Node:
        """Start one node. Raises OSError."""
        pid, channel = bear(spec, family.lifeline, lambda: self._shed(family.lifeline), fork=self._fork)
        node = Node(spec["name"], group, limit, pid, channel, time.monotonic())
        self._nodes[pid] = (family, node)
        self._selector.register(channel.socket, selectors.EVENT_READ, lambda: self._listen(family, node))
        return node

    def tell(self, **message: Any) -> None:  # noqa: ANN401 -- any JSON
        """Report to the driver, while there is one."""
        if self._driver:
            self._control.send(**message)

    def _hear(self) -> None:
        """Take orders; each start of a cluster comes with its lifeline."""
        self._control.flush()
        orders = self._control.receive()
        if orders is None:
            self._lose("its driver ended")
        for order in orders or ():
            self._obey(order)

    def _obey(self, order: dict[str, Any]) -> None:
        name = order["cluster"]
        if order["order"] == "start":
            from daskbridge.cluster.local_family import Family

            if not self._control.descriptors:  # the kernel drops what finds no place
                self.tell(cluster=name, event="lost", why="the supervisor has too many open files")
                self.tell(cluster=name, event="closed")
                return
            lifeline = self._control.descriptors.pop(0)
            family = self._families[name] = Family(self, order, lifeline)
            self._selector.register(
                lifeline,
                selectors.EVENT_READ,
                lambda: self._cut(family, "its end was asked for, or its driver ended"),
            )
            family.start()
        elif name in self._families:  # else it has ended meanwhile
            if order["order"] == "scale":
                self._families[name].scale(order["group"], order["number"])
            elif order["order"] == "renew":
                self._families[name].renew(order["worker_plugins"])
            else:
                self._families[name].close(order["reason"])

    def _cut(self, family: Family, reason: str) -> None:
        self._selector.unregister(family.lifeline)
        family.close(reason)

    def _listen(self, family: Family, node: Node) -> None:
        node.channel.flush()
        messages = node.channel.receive()
        if messages is None:
            self._part(node)
        for message in messages or ():
            family.said(node, message)

    def _part(self, node: Node) -> None:
        if node.channel.socket.fileno() >= 0:
            self._selector.unregister(node.channel.socket)
            node.channel.socket.close()

    def _attend(self) -> None:
        """Have the loop woken when somebody takes what is unsent."""
        channels = [node.channel for _, node in self._nodes.values()]
        for channel in [*channels, *([self._control] if self._driver else [])]:
            if channel.socket.fileno() < 0:
                continue
            key = self._selector.get_key(channel.socket)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.unsent else 0)
            if key.events != events:
                self._selector.modify(channel.socket, events, key.data)

    def _reap(self) -> None:
        for pid in _dead(list(self._nodes)):
            known = self._nodes.pop(pid, None)
            if known is not None:
                known[1].sweep()
            _, status = os.waitpid(pid, 0)
            if known is None:
                continue  # started by a library, not by us
            family, node = known
            self._hear_out(family, node)
            self._part(node)
            if family.scheduler is not None:  # it may know why
                self._hear_out(family, family.scheduler)
            family.exited(node, status)

    def _hear_out(self, family: Family, node: Node) -> None:
        while node.channel.socket.fileno() >= 0 and (messages := node.channel.receive()):
            for message in messages:
                family.said(node, message)

    def _forget_closed(self) -> None:
        for name, family in list(self._families.items()):
            if not family.closed:
                continue
            del self._families[name]
            if family.lifeline in self._selector.get_map():
                self._selector.unregister(family.lifeline)
            os.close(family.lifeline)
            if not self._driver:
                family.abandoned()

    def _terminate(self, *_: object) -> None:
        """Note a SIGTERM: the loop, which it wakes, does the rest."""
        self.terminated = True

    def _lose(self, reason: str) -> None:
        """End all clusters, since nobody is left to use them."""
        if self._driver:
            for family in self._families.values():
                family.tell("lost", why=f"the process that supervises local clusters ends: {reason}")
            self._driver = False
            self._selector.unregister(self._control.socket)
        for family in self._families.values():
            family.close(reason)

    def _shed(self, lifeline: int) -> None:
        """Close, in a new node, what belongs to this process; its lifeline stays open there."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
            elif key.fd != lifeline:
                os.close(key.fd)
        self._selector.close()
        self._control.socket.close()
        self._wake.close()


def _dead(nodes: Sequence[int]) -> Iterator[int]:
    """Give the children that have ended and wait for none: until then their numbers are nobody else's."""
    if not hasattr(os, "waitid"):  # on macOS until Python 3.13
        yield from (pid for pid in nodes if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        return
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        yield found.si_pid


if __name__ == "__main__":
    main()
