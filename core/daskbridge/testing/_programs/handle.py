"""Drive a provisioner and its handle themselves, as the core does on its loop."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.testing._programs._nodes import workers
from daskbridge.testing._programs._ticks import TICK, Ticks
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.plugins import ClusterHandle, Provisioner
    from daskbridge.testing._driver import Driver

#: What the core uses of a handle.
CONTRACT = ("ref", "notes", "security", "scale", "failure", "logs", "close", "request_close")
#: How many workers are asked for, and how many then.
FIRST, THEN = 1, 2


def play(driver: Driver) -> None:
    """Provision twice: use and close one in order, ask the other to close."""
    import distributed  # noqa: F401 -- as a run does, in a thread, before it provisions

    from daskbridge.plugins import plugins

    provisioner = plugins().provisioner(driver.order["provisioner"])
    asyncio.run(_one(driver, provisioner))
    driver.observe("left", driver.left)
    asyncio.run(_other(driver, provisioner))
    driver.observe("left of the other", driver.left)


async def provisioned(driver: Driver, provisioner: Provisioner) -> ClusterHandle:
    """Provision as a run does."""
    import uuid

    from daskbridge.plugins import Run
    from daskbridge.topology import Dask, WorkerGroup

    topology = driver.topology(Dask(workers=WorkerGroup(FIRST)))
    if (warm := getattr(provisioner, "warm", None)) is not None:
        await asyncio.to_thread(warm, topology)
    run = Run(uuid.uuid4().hex[:8], "the kit's", topology, driver.order["provisioner"])
    return await provisioner.provision(topology, run)


async def _one(driver: Driver, provisioner: Provisioner) -> None:
    with Ticks() as ticks:
        async with asyncio.timeout(driver.patience):
            handle = await provisioned(driver, provisioner)
    driver.report("stood still", ticks.longest)
    try:
        driver.observe("handle", lambda: _described(handle))
        await _observe(driver, "failure", handle.failure())
        await _observe(driver, "logs", _logs(handle))
        await _observe(driver, "attached", _attached(provisioner, handle))
        await _observe(driver, "scaled", _scaled(driver, handle))
    finally:
        await _observe(driver, "closed", handle.close("the kit has seen enough"))
    await _observe(driver, "closed again", handle.close())


async def _other(driver: Driver, provisioner: Provisioner) -> None:
    """Ask for the end from another thread, while the loop is busy; then close."""
    handle = await provisioned(driver, provisioner)
    asking = threading.Thread(target=handle.request_close, daemon=True)
    asking.start()
    asking.join(driver.patience / 4)  # the loop stands still meanwhile: who needs it would wait for ever
    driver.report("asked", not asking.is_alive())
    await _observe(driver, "closed after that", handle.close())


async def _observe(driver: Driver, name: str, awaited: Any) -> None:  # noqa: ANN401 -- any coroutine
    """Report what a coroutine returns, or the error in which it ends."""
    ending = asyncio.ensure_future(awaited)
    await asyncio.wait([ending], timeout=driver.patience)
    if not ending.done():
        ending.cancel()
        await asyncio.wait([ending], timeout=TICK)

    def look() -> object:
        if not ending.done() or ending.cancelled():
            raise TimeoutError(f"{name}: it took longer than {driver.patience:g} s")
        return ending.result()

    driver.observe(name, look)


def _described(handle: ClusterHandle) -> dict[str, Any]:
    from distributed import Security

    from daskbridge.plugins import ClusterRef

    ref: Any = handle.ref
    notes: Any = handle.notes
    security = handle.security
    return {
        "missing": [name for name in CONTRACT if not hasattr(handle, name)],
        "ref": isinstance(ref, ClusterRef) and ClusterRef.from_json(ref.to_json()) == ref,
        "kind": ref.kind,
        "notes": isinstance(notes, tuple) and {type(note) for note in notes} <= {str},
        "security": security is None or isinstance(security, Security),
    }


async def _logs(handle: ClusterHandle) -> dict[str, str]:
    """Return the type of what the logs are, and those of its keys and values."""
    from collections.abc import Mapping

    logs: Any = await handle.logs()
    if not isinstance(logs, Mapping):
        return {"logs": type(logs).__name__}
    return {type(key).__name__: type(text).__name__ for key, text in logs.items()}


async def _attached(provisioner: Provisioner, handle: ClusterHandle) -> str:
    """Attach to what the reference's JSON names; say what came of it."""
    from daskbridge.errors import ProvisioningError
    from daskbridge.plugins import ClusterRef

    try:
        attached = await provisioner.attach(ClusterRef.from_json(handle.ref.to_json()))
    except ProvisioningError:
        return "refused"
    return "attached" if attached.ref.scheduler_address == handle.ref.scheduler_address else "elsewhere"


async def _scaled(driver: Driver, handle: ClusterHandle) -> list[int]:
    """Bring the default group to another number and back; return how many workers there were then."""
    from distributed import Client

    if "scale" in driver.lacks:
        return []
    security: Any = handle.security
    where = partial(Client, handle.ref.scheduler_address, security=security, set_as_default=False)
    client: Client = await asyncio.to_thread(where)
    try:
        await asyncio.to_thread(_number, driver, client, FIRST)
        found = []
        for number in (THEN, FIRST):
            await handle.scale("default", number)
            found.append(await asyncio.to_thread(_number, driver, client, number))
    finally:
        await asyncio.to_thread(client.close)
    return found


def _number(driver: Driver, client: Client, wanted: int) -> int:
    """Wait until there are as many workers as wanted, for a while; return how many there are."""
    try:
        return until(
            lambda: len(workers(client)), driver.patience / 4, "workers", wanted=lambda found: found == wanted
        )
    except TimeoutError:
        return len(workers(client))
