"""Compare code that the nodes' image brings with the driver's, on every node of a running cluster."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.code._nodes import all_told, on_all_nodes
from daskbridge.errors import CodeNotDelivered, EnvironmentMismatch, comparison

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.code._installed import InstalledCode

_SHOWN = 20

logger = logging.getLogger("daskbridge")


async def compare_code(
    client: Client,
    installed: InstalledCode,
    *,
    exclusive: bool = True,
    policy: str = "error",
    timeout: float = 300.0,
) -> str:
    """Compare ``installed`` on the scheduler and all workers, now and later; say what came of it.

    ``client`` is asynchronous, on the running loop. With the ``policy`` "error", nodes that
    differ raise :class:`~daskbridge.errors.EnvironmentMismatch` with a table, and a later worker
    that differs is closed before it serves if the cluster is ``exclusive``; with "warn" the
    table is logged; with "ignore" nothing happens at all. Raises
    :class:`~daskbridge.errors.CodeNotDelivered` unless all have answered within ``timeout``
    seconds. After an error nothing stays behind, otherwise until :func:`forget_comparison`.
    """
    if policy == "ignore":
        return "not compared"
    expected = await asyncio.to_thread(installed.digests)
    status, undo = partial(_status, client), partial(forget_comparison, client)
    async with on_all_nodes(status, undo, timeout=timeout, failed="not every node says which code it has"):
        await _register(client, expected, strict=exclusive and policy == "error")
        told = await all_told(status)
        found = _mismatch(told)
        if found is not None and policy == "error":
            raise found
    if found is not None:
        logger.warning("%s", found)
        return "the nodes' code differs from the driver's"
    return f"{len(expected)} modules equal on {1 + len(told['workers'])} nodes"


async def compared_nodes(client: Client) -> frozenset[str]:
    """Return the addresses of the workers that were compared and may take part.

    Only between :func:`compare_code` and :func:`forget_comparison`. Raises
    :class:`~daskbridge.errors.EnvironmentMismatch` with the table if one was turned away since.
    """
    told = await _status(client)
    if told["refused"] and (found := _mismatch(told)):
        raise found
    return frozenset(told["workers"])


async def forget_comparison(client: Client) -> None:
    """Stop comparing the workers that join."""
    await _ask(client, "leave")


async def _register(client: Client, expected: dict[str, str], *, strict: bool) -> None:
    from daskbridge.node.installed import InstalledCodeSchedulerPlugin, InstalledCodeWorkerPlugin

    for kind in (InstalledCodeSchedulerPlugin, InstalledCodeWorkerPlugin):
        await client.register_plugin(kind(expected, key=client.id, strict=strict))


async def _ask(client: Client, verb: str) -> Any:  # noqa: ANN401 -- each verb's own answer
    from daskbridge.node.installed import NAME

    return await getattr(client.scheduler, f"{NAME}-{client.id}-{verb}")()


async def _status(client: Client) -> dict[str, Any]:
    status: dict[str, Any] | None = await _ask(client, "status")
    if status is None:
        raise CodeNotDelivered("the scheduler compares no code: it was replaced, or asked to stop")
    return status


def _mismatch(told: dict[str, Any]) -> EnvironmentMismatch | None:
    from daskbridge.node.installed import brief

    nodes = [told["scheduler"], *told["workers"].values(), *told["refused"].values()]
    names = sorted({name for node in nodes for name in node})
    if not names:
        return None
    driver = {name: brief(told["expected"][name]) for name in names}
    found = [driver | {name: brief(have) for name, have in node.items()} for node in nodes]
    table = comparison("module", names[:_SHOWN], [driver, *found])
    more = f"\nand {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    msg = f"the nodes' image has other code than the driver\n{table}{more}"
    hint = "use the task's image for the nodes, with the code on their PYTHONPATH; or ship the code"
    return EnvironmentMismatch(msg, hint=hint)
