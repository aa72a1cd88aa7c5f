"""Provisioners that do what ``local`` does, but for one thing; and one that is sound."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace

from daskbridge.plugins import Equipment, plugins

NAME = "mutant"
KEPT = []


class Handle:
    def __init__(self, inner):
        self.inner = inner
        self.ref = replace(inner.ref, kind=NAME)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Sound:
    name = NAME
    handle = Handle

    @property
    def capabilities(self):
        return plugins().provisioner("local").capabilities

    @property
    def adapts(self):
        return plugins().provisioner("local").adapts

    def validate(self, topology):
        plugins().provisioner("local").validate(topology)

    def warm(self, topology):
        plugins().provisioner("local").warm(topology)

    async def provision(self, topology, run):
        return self.handle(await plugins().provisioner("local").provision(topology, run))

    async def attach(self, ref):
        return await plugins().provisioner("local").attach(ref)


def bystander(*arguments, seconds=60):
    """Start a process that has nothing to do with its parent's end."""
    command = ["/bin/sh", "-c", f"sleep {seconds}; true", *arguments]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def without_code(equipment):
    def others(plugins):
        return tuple(plugin for plugin in plugins if "CodeBundle" not in type(plugin).__name__)

    return Equipment(others(equipment.scheduler), others(equipment.workers))


#: What keeps a node from importing the kit's projects.
BLOCK = """
import sys


class Block:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith(("jobs_", "pack_", "side_")):
            raise ModuleNotFoundError(f"no module named {name}")


sys.meta_path.insert(0, Block)
"""


class WorkersWithoutCode(Sound):
    """Start workers on which the code is, and can't be imported."""

    node = "worker"

    async def provision(self, topology, run):
        blocked = {"distributed": {self.node: {"preload": [BLOCK]}}}
        return await super().provision(replace(topology, config={**topology.config, **blocked}), run)


class SchedulerWithoutCode(WorkersWithoutCode):
    """Start such a scheduler."""

    node = "scheduler"


class NotEquipped(Sound):
    """Say that nodes are equipped, and don't equip them."""

    async def provision(self, topology, run):
        run.equipment = without_code(run.equipment)
        return await super().provision(topology, run)


class LateWithoutCode(Sound):
    """Equip only who is there from the beginning."""

    class handle(Handle):  # noqa: N801 -- in the place of an attribute
        async def scale(self, group, number):
            await asyncio.to_thread(self.forget)
            await self.inner.renew(without_code(self.equipment))
            await self.inner.scale(group, number)

        def forget(self):
            from distributed import Client

            def clear(dask_scheduler):
                dask_scheduler.worker_plugins.clear()

            with Client(self.ref.scheduler_address, security=self.security, set_as_default=False) as client:
                client.run_on_scheduler(clear)

    async def provision(self, topology, run):
        handle = await super().provision(topology, run)
        handle.equipment = run.equipment
        return handle


class LeavesAProcess(Sound):
    """Leave a process when the cluster is closed."""

    class handle(Handle):  # noqa: N801 -- as above
        async def close(self, reason=""):
            await self.inner.close(reason)
            KEPT.append(bystander())


class LeavesTheCancelled(Sound):
    """Leave a process when provisioning is cancelled."""

    seconds = 60

    async def provision(self, topology, run):
        process = bystander(seconds=self.seconds or topology.start_timeout)
        await asyncio.sleep(0.5)
        handle = await super().provision(topology, run)
        end(process)
        return handle


class LeavesTheCancelledToTheirBound(LeavesTheCancelled):
    """Let what was started end by itself when a start has taken too long, and not before."""

    seconds = None


class HoldsOnToTheCancelled(Sound):
    """Go on, when cancelled, with a start for as long as one may take, and with a cluster for ever."""

    async def provision(self, topology, run):
        try:
            handle = await super().provision(topology, run)
        except asyncio.CancelledError:
            await asyncio.sleep(topology.start_timeout)
            raise
        handle.run = run
        return handle

    class handle(Handle):  # noqa: N801 -- as above
        async def close(self, reason=""):
            if not isinstance(self.run.error, CancelledError):
                await self.inner.close(reason)


class CannotSayWhatIsLost(Sound):
    """Fail when asked how the cluster fails, which it asks itself before it closes."""

    class handle(Handle):  # noqa: N801 -- as above
        async def failure(self):
            failure = await self.inner.failure()
            assert failure is None
            return failure

        async def close(self, reason=""):
            await self.failure()
            await self.inner.close(reason)


class LeavesAFileInTheEnd(Sound):
    """Write a file that nobody removes, as the process ends."""

    async def provision(self, topology, run):
        atexit.register(tempfile.mkstemp)
        return await super().provision(topology, run)


#: What keeps workers from each other, as a firewall does.
APART = """
import asyncio

from distributed import worker


async def dropped(*arguments, **options):
    await asyncio.sleep(60)


worker.get_data_from_worker = dropped
"""
#: What keeps everybody from the dashboard, as well.
CLOSED = """
def dask_setup(scheduler):
    scheduler.http_server.stop()
"""


class BehindAFirewall(Sound):
    """Start workers that can't reach each other, and a dashboard that nobody can."""

    async def provision(self, topology, run):
        walls = {"worker": {"preload": [APART]}, "scheduler": {"preload": [CLOSED]}}
        topology = replace(topology, config={**topology.config, "distributed": walls})
        return await super().provision(topology, run)


class BlocksTheLoop(Sound):
    """Wait on the loop's thread."""

    async def provision(self, topology, run):
        time.sleep(2)  # noqa: ASYNC251 -- the defect
        return await super().provision(topology, run)


class ClosesOnce(Sound):
    """Fail when the cluster is closed a second time."""

    class handle(Handle):  # noqa: N801 -- as above
        closed = False

        async def close(self, reason=""):
            if self.closed:
                raise RuntimeError("closed already")
            self.closed = True
            await self.inner.close(reason)


class OneWorkerLess(Sound):
    """Start too few."""

    more = -1

    async def provision(self, topology, run):
        number = max(1, topology.workers.number_of_workers + self.more)
        topology = replace(topology, workers=replace(topology.workers, number_of_workers=number))
        return await super().provision(topology, run)


class OneWorkerMore(OneWorkerLess):
    """Start too many."""

    more = 1


class IgnoresAllThatItDeclares(Sound):
    """Drop what is asked of nodes, beside their number and their groups."""

    async def provision(self, topology, run):
        nothing = {"threads": None, "env": {}, "resources": None, "abstract_resources": {}}
        nothing |= {"local_directory": None, "max_workers": None}
        groups = {name: replace(group, **nothing) for name, group in topology.groups.items()}
        workers = groups.pop("default")
        topology = replace(topology, config={}, workers=workers, worker_groups=groups)
        return await super().provision(topology, run)


class NamesWorkersOtherwise(Sound):
    """Call the further groups' workers by another group's name."""

    async def provision(self, topology, run):
        groups = {f"{name}-x": group for name, group in topology.worker_groups.items()}
        return await super().provision(replace(topology, worker_groups=groups), run)


#: What gives a worker a name that the platform has made.
RANDOM = """
import uuid


def dask_setup(worker):
    group = worker.name.rpartition("-")[0]
    worker.name = f"{group}-x{uuid.uuid4().hex[:5]}"
"""


class NamesWorkersAtRandom(Sound):
    """Number no workers."""

    async def provision(self, topology, run):
        if topology.worker_groups:
            named = {"distributed": {"worker": {"preload": [RANDOM]}}}
            topology = replace(topology, config={**topology.config, **named})
        return await super().provision(topology, run)


class TellsTheWorld(Sound):
    """Put what nodes get as environment on a command line."""

    async def provision(self, topology, run):
        handle = await super().provision(topology, run)
        handle.shown = bystander(*topology.workers.env.values())
        return handle

    class handle(Handle):  # noqa: N801 -- as above
        async def close(self, reason=""):
            await self.inner.close(reason)
            end(self.shown)


class LeaksConfiguration(Sound):
    """Change Dask's configuration for good."""

    async def provision(self, topology, run):
        import dask.config

        dask.config.set({"mutant": run.id})
        return await super().provision(topology, run)


class AnswersNothing(Sound):
    """Give neither logs nor a reference that is its own, and don't say that nobody can attach."""

    async def attach(self, ref):
        raise NotImplementedError

    class handle(Handle):  # noqa: N801 -- as above
        def __init__(self, inner):
            super().__init__(inner)
            self.ref = inner.ref

        async def logs(self):
            return None


class SaysThatAllIsWell(Sound):
    class handle(Handle):  # noqa: N801 -- as above
        async def failure(self):
            return "all is well"


class DoesNotScale(Sound):
    class handle(Handle):  # noqa: N801 -- as above
        async def scale(self, group, number):
            pass


class WaitsWhenAskedToClose(Sound):
    """Need the loop in ``request_close``."""

    class handle(Handle):  # noqa: N801 -- as above
        def __init__(self, inner):
            super().__init__(inner)
            self.loop = asyncio.get_running_loop()

        def request_close(self):
            asyncio.run_coroutine_threadsafe(self.close(), self.loop).result()


class Survives(Sound):
    """Keep a process that only ``close`` ends."""

    async def provision(self, topology, run):
        handle = await super().provision(topology, run)
        handle.kept = bystander()
        return handle

    class handle(Handle):  # noqa: N801 -- as above
        async def close(self, reason=""):
            await self.inner.close(reason)
            if self.kept.returncode is None:
                end(self.kept)


class UnknownCapability(Sound):
    capabilities = frozenset({"teleportation"})


class StartsWhenValidating(Sound):
    def validate(self, topology):
        super().validate(topology)
        threading.Thread(target=time.sleep, args=[1]).start()


class ValidatesLater(Sound):
    """Validate once that is awaited."""

    async def validate(self, topology):
        super().validate(topology)


class KeepsAPort(Sound):
    """Listen for ever."""

    async def provision(self, topology, run):
        KEPT.append(socket.create_server(("127.0.0.1", 0)))
        return await super().provision(topology, run)


class LeavesAFile(Sound):
    """Write a file that nobody removes."""

    class handle(Handle):  # noqa: N801 -- as above
        async def close(self, reason=""):
            await self.inner.close(reason)
            tempfile.NamedTemporaryFile(delete=False).close()


class SlowToImport(Sound):
    """Have a module that imports what is heavy."""


class NotAProvisioner:
    name = NAME
    capabilities = frozenset()
    adapts: dict = {}  # noqa: RUF012 -- nobody writes it

    async def provision(self, topology, run):
        raise NotImplementedError
