"""Bring new code to the nodes of a cluster while its body runs."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from daskbridge._threads import in_thread
from daskbridge.code import CodeBundle, CodeSpec, InstalledCode, changes, receipts
from daskbridge.errors import BundleError, CodeChanged, unknown
from daskbridge.runtime._code import code_for, source_of
from daskbridge.runtime._strays import strays

if TYPE_CHECKING:
    from daskbridge.code import Receipt
    from daskbridge.runtime._client import RunClient
    from daskbridge.runtime._code import Code
    from daskbridge.runtime._engine import Engine
    from daskbridge.runtime._timeline import Progress

POLICIES = ("error", "restart")
#: Seconds for a client to hear that its futures are gone, or for a sync to end; and between two looks.
NEWS, LOOK = 5.0, 0.002


class NewCode:
    """Sync the code of one run, one after the other; on the core's loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[tuple[Receipt, ...]]] = set()

    async def sync(self, code: Code, policy: str, client: RunClient) -> tuple[Receipt, ...]:
        """Do what :meth:`Cluster.sync` says. Who gives up waiting leaves it to go on to its end."""
        if policy not in POLICIES:
            raise ValueError(unknown("policy", policy, POLICIES))
        syncing = asyncio.ensure_future(self._sync(code, policy, client))
        self._under_way.add(syncing)
        syncing.add_done_callback(self._under_way.discard)
        return await asyncio.shield(syncing)

    async def stop(self) -> None:
        """Give up what is under way: the cluster ends."""
        for syncing in (stopping := list(self._under_way)):
            syncing.cancel()
        if stopping:
            await asyncio.wait(stopping, timeout=NEWS)

    async def _sync(self, code: Code, policy: str, client: RunClient) -> tuple[Receipt, ...]:
        async with self._turn:
            connection = self._engine.connection
            old = connection.code
            if not isinstance(old, CodeBundle):
                raise self._nothing_shipped()
            new, packed = await in_thread(lambda: self._packed(code), late=lambda late: late[1].close())
            with packed:
                found = await receipts(connection.client)
                same = (new.digest, new.sys_path) == (old.digest, old.sys_path)
                same = same and new.selection.working_directory == old.selection.working_directory
                if found[0].digest == new.digest and (same or new.digest != old.digest):
                    connection.code = new
                    client.expect(new.digest)
                    return found
                differing = changes(old, new)
                if policy == "error":
                    digests = f"the nodes have {old.digest[:12]}, the driver has {new.digest[:12]}"
                    hint = 'sync(policy="restart") replaces the workers, and all results are gone'
                    raise CodeChanged(f"the code has changed: {digests}; {differing}", hint=hint)
                async with self._engine.timeline.step("sync") as progress:
                    progress.detail = f"{new.digest[:12]} in place of {old.digest[:12]}; {differing}"
                    return await self._exchange(old, new, client, progress)

    async def _exchange(
        self, old: CodeBundle, new: CodeBundle, client: RunClient, progress: Progress
    ) -> tuple[Receipt, ...]:
        connection, generation, done = self._engine.connection, client.generation, progress.detail
        address = self._engine.handle.ref.scheduler_address
        mine = {each.id for each in (client, *strays(address, runs=1))}
        bound = self._engine.run.topology.start_timeout
        until = time.monotonic() + bound
        self._engine.run.tell = progress.say
        number = await self._engine.exchange(old, new, mine, bound)
        client.expect(new.digest)
        deadline = time.monotonic() + NEWS
        while client.generation == generation and client.status == "running" and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)  # it would take what is submitted now for what is gone
        found = await connection.returned(number, progress.say, max(NEWS, until - time.monotonic()))
        progress.detail = f"{done}; on {len(found)} nodes"
        return found

    def _packed(self, code: Code) -> tuple[CodeBundle, ExitStack]:
        options, source = self._engine.options, self._engine.source
        if code is not None:
            options = replace(options, code=code)
        if code is not None or not isinstance(source, CodeSpec):
            source = source_of(options, self._engine.run, self._engine.orchestration.orchestrator)
        with ExitStack() as stack:
            packed = code_for(source, options, stack, self._engine.run.tell)
            if isinstance(packed, CodeBundle):
                return packed, stack.pop_all()
        kind = "code of the nodes' image" if isinstance(packed, InstalledCode) else "no code"
        msg = f"code={code!r} is {kind}; expected code that ships"
        raise BundleError(msg, hint="give a directory, a CodeSpec or a CodeBundle, or nothing")

    def _nothing_shipped(self) -> BundleError:
        if isinstance(self._engine.connection.code, InstalledCode):
            msg = "the nodes have their code from their image (InstalledCode), so it can't be exchanged"
            return BundleError(msg, hint="build a new image; or leave out code=, and the project ships")
        msg = "this run ships no code (code=False), so there is nothing to exchange"
        return BundleError(msg, hint="leave out code= where the block begins, or name a directory there")
