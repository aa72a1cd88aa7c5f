"""Put new code in place of what the nodes of a running cluster have."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.code._limits import check_archive
from daskbridge.code._sync import status, upload
from daskbridge.errors import BundleError, CodeNotDelivered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from distributed import Client

    from daskbridge.code._bundle import CodeBundle
    from daskbridge.code._progress import Tell

#: Seconds to take back what is not used.
_UNDO = 30.0


async def exchange_code(  # noqa: PLR0913 -- each but the first three is about the cluster
    client: Client,
    old: CodeBundle,
    new: CodeBundle,
    *,
    exclusive: bool,
    mine: Collection[str],
    local: bool = False,
    renew: Callable[[], Awaitable[None]] | None = None,
    tell: Tell | None = None,
    timeout: float = 300.0,
) -> int:
    """Replace every worker by a new process with the code ``new``; return how many are to come back.

    ``client`` is asynchronous, on the running loop. The scheduler exchanges the code in its own process. All
    tasks and results are gone, as after ``Client.restart()``. ``renew()`` ends all workers and starts new
    ones; without it their nannies do. ``mine`` are the ids of the clients that may lose what they have: on a
    cluster that is not ``exclusive``, others are a reason to refuse. The scheduler of a ``local`` cluster
    reads the archive where it is. ``tell(words)`` is called while the archive is sent.

    Raises :class:`~daskbridge.errors.BundleError` before anything is changed, and
    :class:`~daskbridge.errors.CodeNotDelivered`, which says which code the nodes have then.
    """
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin
    from daskbridge.node.exchange import NextCode

    check_archive(new.size, new.selection, store=new.url is not None)
    if not exclusive:
        _refuse_others(await status(client), {client.id, *mine})
    if renew is None:
        await _refuse_lonely(client)
    archive = os.fspath(new.archive) if local else None
    next_code = NextCode(new.reference, exclusive=exclusive, renews=renew is not None, archive=archive)
    try:
        async with asyncio.timeout(timeout):
            await client.register_plugin(next_code)
            if archive is None:
                wanted = await _next(client, "begin")
                sent = await upload(client, new, wanted, partial(_next, client, "put"), tell)
                await _next(client, "install", user=client.id, sha256=sent)
            if renew is None:  # a nanny that can't get the code says so before anything is lost
                await client.register_plugin(DownloadCodeBundleNannyPlugin(new.reference))
            number: int = await _next(client, "exchange", timeout=timeout)
    except BaseException as error:
        exchanged, words = await _undo(client, old, new, nannies=renew is None)
        if exchanged and renew is not None:
            await renew()
        if not isinstance(error, Exception):
            raise
        cause = str(error) or f"not done within {timeout:g} s"
        raise CodeNotDelivered(f"the code was not exchanged in order: {cause}\n{words}") from error
    if renew is not None:
        await renew()
    return number


def _refuse_others(told: dict[str, Any], mine: set[str]) -> None:
    users, busy = {*told["users"]} - mine, {*told["busy"]} - mine
    if not users and not busy and not told["fixed"]:
        return
    who = "others use this code" if users or told["fixed"] else "others have tasks or results on this cluster"
    msg = f"new code needs new workers, and {who}: nothing was changed"
    raise BundleError(msg, hint="wait until you are alone on the cluster, or use one of your own")


async def _refuse_lonely(client: Client) -> None:
    identity = await client.scheduler.identity()  # type: ignore[union-attr]  # it is connected
    alone = [str(worker["name"]) for worker in identity["workers"].values() if not worker["nanny"]]
    if alone:
        msg = (
            "new code needs new worker processes, and nobody would start these workers again, which have no"
            f" nanny: {', '.join(sorted(alone))}; nothing was changed"
        )
        raise BundleError(msg, hint="start the workers with nannies, or leave the block and enter it again")


async def _undo(client: Client, old: CodeBundle, new: CodeBundle, *, nannies: bool) -> tuple[bool, str]:
    """Take back what is not used, tell whether all is, and which code the nodes have; this masks no error."""
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin

    try:
        async with asyncio.timeout(_UNDO):
            await _next(client, "leave")
            told = await status(client)
            if any(receipt["digest"] == new.digest for receipt in told["receipts"]):
                return True, f"the scheduler has {new.digest[:12]} by now, and workers that start get it"
    except Exception as error:  # noqa: BLE001 -- said beside the first error
        return False, f"which code the nodes have is not known: {error!r}"
    words = f"all nodes still have {old.digest[:12]}"
    try:
        async with asyncio.timeout(_UNDO if nannies else None):
            if nannies:  # one that could not install has kept what it had
                await client.register_plugin(DownloadCodeBundleNannyPlugin(old.reference))
    except Exception as error:  # noqa: BLE001 -- as above
        words += f"; not every nanny could be told: {error!r}"
    return False, words


async def _next(client: Client, verb: str, **told: object) -> Any:  # noqa: ANN401 -- each verb's own answer
    return await getattr(client.scheduler, f"daskbridge_next_{verb}")(**told)
