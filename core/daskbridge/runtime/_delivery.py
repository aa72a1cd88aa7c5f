"""See to it that every node of a run has its code: sent by us, or found equal in the nodes' image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daskbridge.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from daskbridge.code import CodeBundle, InstalledCode


async def deliver(
    client: Client, code: CodeBundle | InstalledCode, *, exclusive: bool, tell: Callable[[str], None]
) -> str:
    """Send or compare ``code`` on every node, early or late; return what came of it, in words.

    ``tell`` is called with what goes on meanwhile.
    """
    from daskbridge.code import InstalledCode, compare_code, sync_code

    if isinstance(code, InstalledCode):
        policy: str = setting("environment-check")
        return await compare_code(client, code, exclusive=exclusive, policy=policy)
    receipts = await sync_code(client, code, exclusive=exclusive, tell=tell)
    return f"{code.digest[:12]} on {len(receipts)} nodes"


async def equipped(client: Client, code: CodeBundle | InstalledCode) -> frozenset[str]:
    """Return the addresses of the workers that have the code by now."""
    from daskbridge.code import InstalledCode, compared_nodes, receipts

    if isinstance(code, InstalledCode):
        return await compared_nodes(client)
    return frozenset(receipt.address for receipt in await receipts(client))


async def take_back(client: Client, code: CodeBundle | InstalledCode) -> None:
    """Leave a shared cluster as it was."""
    from daskbridge.code import InstalledCode, forget_code, forget_comparison

    await (forget_comparison(client) if isinstance(code, InstalledCode) else forget_code(client))
