"""Bring a bundle to every node of a running cluster, and take it away again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.code._limits import check_archive
from daskbridge.code._nodes import all_told, on_all_nodes
from daskbridge.code._progress import amount, arriving
from daskbridge.errors import CodeNotDelivered

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.code._bundle import CodeBundle
    from daskbridge.code._progress import Tell


@dataclass(frozen=True)
class Receipt:
    """Say that one process imports from the tree ``digest``, and how it got there.

    ``role`` is ``"scheduler"`` or ``"worker"``; ``source`` is ``"cache"`` (already on the host),
    ``"store"``, ``"scheduler"`` or, on the scheduler itself, ``"driver"``; ``bytes`` is what
    was transferred for it.
    """

    role: str
    name: str
    address: str
    host: str
    pid: int
    digest: str
    source: str
    seconds: float
    bytes: int


async def sync_code(
    client: Client,
    bundle: CodeBundle,
    *,
    exclusive: bool = True,
    timeout: float = 300.0,
    tell: Tell | None = None,
) -> tuple[Receipt, ...]:
    """Install ``bundle`` on the scheduler and all workers, now and later; return their receipts.

    ``client`` is asynchronous, on the running loop. On an ``exclusive`` cluster a worker that
    can't get the code is closed; on a shared one it is left alone, and several clients may use
    the same bundle. ``tell(words)`` is called while it takes time. Raises
    :class:`~daskbridge.errors.BundleError` for an archive that is too large,
    and :class:`~daskbridge.errors.CodeNotDelivered` with the cause of each worker unless every
    connected worker has it within ``timeout`` seconds; then nothing stays behind.
    """
    from daskbridge.node.origin import DownloadCodeBundleSchedulerPlugin

    check_archive(bundle.size, bundle.selection, store=bundle.url is not None)
    try:
        async with asyncio.timeout(timeout):
            await client.register_plugin(DownloadCodeBundleSchedulerPlugin(bundle.reference, user=client.id))
    except Exception as error:
        raise CodeNotDelivered(
            f"the scheduler can't take the code: {str(error) or type(error).__name__}"
        ) from error
    status, undo = partial(_status, client), partial(forget_code, client)
    async with on_all_nodes(status, undo, timeout=timeout, failed="the code did not reach every node"):
        await _send(client, bundle, tell)
        async with arriving(status, tell):
            await _register(client, bundle, exclusive=exclusive)
            return _sorted(await all_told(status))


async def receipts(client: Client) -> tuple[Receipt, ...]:
    """Return the receipts of the scheduler and of every worker that has the code by now.

    Only between :func:`sync_code` and :func:`forget_code`.
    """
    status = await _status(client)
    return _sorted(status)


async def forget_code(client: Client) -> None:
    """Take the code from the cluster again, unless another client still uses it.

    Its modules leave the nodes' ``sys.modules``; what tasks returned keeps the classes it has.
    """
    await _ask(client, "release", user=client.id)


async def _ask(client: Client, verb: str, **told: object) -> Any:  # noqa: ANN401 -- each verb's own answer
    return await getattr(client.scheduler, f"daskbridge_code_{verb}")(**told)


async def _status(client: Client) -> dict[str, Any]:
    status: dict[str, Any] | None = await _ask(client, "status")
    if status is None:
        raise CodeNotDelivered("the scheduler has no code: it was replaced, or the code was forgotten")
    return status


async def _send(client: Client, bundle: CodeBundle, tell: Tell | None) -> None:
    from daskbridge.node.compress import CHUNK

    wanted = await _ask(client, "begin")
    if wanted["live"]:
        return
    if wanted["want"]:
        with bundle.archive.open("rb") as file:
            sent = amount("sending the code to the scheduler", tell) if tell else None
            while data := await asyncio.to_thread(file.read, CHUNK):
                await _ask(client, "put", user=client.id, data=data)
                if sent is not None:
                    sent(file.tell(), bundle.size)
    await _ask(client, "activate", user=client.id, sha256=bundle.sha256)


async def _register(client: Client, bundle: CodeBundle, *, exclusive: bool) -> None:
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin, DownloadCodeBundleWorkerPlugin

    live = (await _ask(client, "begin"))["live"]
    if not live:
        await client.register_plugin(DownloadCodeBundleNannyPlugin(bundle.reference))
        await client.register_plugin(DownloadCodeBundleWorkerPlugin(bundle.reference, exclusive=exclusive))


def _sorted(status: dict[str, Any]) -> tuple[Receipt, ...]:
    made = [Receipt(**receipt) for receipt in status["receipts"]]
    return tuple(sorted(made, key=lambda receipt: (receipt.role, receipt.name)))
