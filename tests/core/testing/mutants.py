"""Provisioners that do what ``local`` does, but for one thing; and one that is sound."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
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


def bystander(*arguments):
    """Start a process that has nothing to do with its parent's end."""
    command = ["/bin/sh", "-c", "sleep 60; true", *arguments]
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

    async def provision(self, topology, run):
        process = bystander()
        await asyncio.sleep(0.5)
        handle = await super().provision(topology, run)
        end(process)
        return handle


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


class Ignores(Sound):
    """Declare what is dropped."""

    field, nothing = "", None

    async def provision(self, topology, run):
        groups = {
            name: replace(group, **{self.field: self.nothing}) for name, group in topology.groups.items()
        }
        workers = groups.pop("default")
        return await super().provision(replace(topology, workers=workers, worker_groups=groups), run)


class IgnoresThreads(Ignores):
    field = "threads"


class IgnoresEnv(Ignores):
    field, nothing = "env", {}


class IgnoresResources(Ignores):
    field = "resources"


class IgnoresAbstractResources(Ignores):
    field, nothing = "abstract_resources", {}


class IgnoresLocalDirectory(Ignores):
    field = "local_directory"


class IgnoresMaxWorkers(Ignores):
    field = "max_workers"


class IgnoresConfig(Sound):
    async def provision(self, topology, run):
        return await super().provision(replace(topology, config={}), run)


class NamesWorkersOtherwise(Sound):
    """Call the further groups' workers by another group's name."""

    async def provision(self, topology, run):
        groups = {f"{name}-x": group for name, group in topology.worker_groups.items()}
        return await super().provision(replace(topology, worker_groups=groups), run)


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


class CannotAttach(Sound):
    async def attach(self, ref):
        raise NotImplementedError


class LogsNothing(Sound):
    class handle(Handle):  # noqa: N801 -- as above
        async def logs(self):
            return None


class SaysThatAllIsWell(Sound):
    class handle(Handle):  # noqa: N801 -- as above
        async def failure(self):
            return "all is well"


class AnotherKind(Sound):
    class handle(Handle):  # noqa: N801 -- as above
        def __init__(self, inner):
            super().__init__(inner)
            self.ref = inner.ref


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


class NotAProvisioner:
    name = NAME
    capabilities = frozenset()
    adapts: dict = {}  # noqa: RUF012 -- nobody writes it

    async def provision(self, topology, run):
        raise NotImplementedError
