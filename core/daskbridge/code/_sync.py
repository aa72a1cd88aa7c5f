"""Bring a bundle to every node of a running cluster, and take it away again."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from daskbridge.code._limits import check_archive, refuse_directory
from daskbridge.code._nodes import all_told, on_all_nodes
from daskbridge.code._progress import amount, arriving
from daskbridge.errors import CodeNotDelivered
from daskbridge.node.compress import CHUNK, recompress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
    :class:`~daskbridge.errors.BundleError` for an archive that is too large and for a working
    directory on a shared cluster, and :class:`~daskbridge.errors.CodeNotDelivered` with the cause of
    each worker unless every connected worker has it within ``timeout`` seconds; then nothing stays
    behind.
    """
    from daskbridge.node.origin import DownloadCodeBundleSchedulerPlugin

    check_archive(bundle.size, bundle.selection, store=bundle.url is not None)
    if not exclusive:
        refuse_directory(bundle)
    try:
        async with asyncio.timeout(timeout):
            await client.register_plugin(DownloadCodeBundleSchedulerPlugin(bundle.reference, user=client.id))
    except Exception as error:
        raise CodeNotDelivered(
            f"the scheduler can't take the code: {str(error) or type(error).__name__}"
        ) from error
    told, undo = partial(status, client), partial(forget_code, client)
    async with on_all_nodes(told, undo, timeout=timeout, failed="the code did not reach every node"):
        await _send(client, bundle, tell)
        async with arriving(told, tell):
            await _register(client, bundle, exclusive=exclusive)
            return receipts_of(await all_told(told))


async def receipts(client: Client) -> tuple[Receipt, ...]:
    """Return the receipts of the scheduler and of every worker that has the code by now.

    Only between :func:`sync_code` and :func:`forget_code`.
    """
    return receipts_of(await status(client))


async def forget_code(client: Client) -> None:
    """Take the code from the cluster again, unless another client still uses it.

    Its modules leave the nodes' ``sys.modules``; what tasks returned keeps the classes it has.
    """
    await _ask(client, "release", user=client.id)


async def status(client: Client) -> dict[str, Any]:
    """Return what the scheduler knows of its nodes' code. Raises CodeNotDelivered if that is nothing."""
    told: dict[str, Any] | None = await _ask(client, "status")
    if told is None:
        raise CodeNotDelivered("the scheduler has no code: it was replaced, or the code was forgotten")
    return told


async def upload(
    client: Client,
    bundle: CodeBundle,
    wanted: dict[str, Any],
    put: Callable[..., Awaitable[None]],
    tell: Tell | None,
) -> str:
    """Send the archive in pieces to an operation of the scheduler, if that wants it; return its sha256.

    A scheduler that can't read zstd gets the archive in gzip.
    """
    if not wanted["want"]:
        return bundle.sha256
    if bundle.format in wanted["reads"]:
        with bundle.archive.open("rb") as file:
            await _upload(client, file, put, tell)
        return bundle.sha256
    with TemporaryFile() as file, bundle.archive.open("rb") as packed:
        await asyncio.to_thread(recompress, iter(partial(packed.read, CHUNK), b""), file, "tar.gz")
        check_archive(file.tell(), bundle.selection, store=False)
        file.seek(0)
        return await _upload(client, file, put, tell)


async def _upload(
    client: Client, file: IO[bytes], put: Callable[..., Awaitable[None]], tell: Tell | None
) -> str:
    size, checksum = os.fstat(file.fileno()).st_size, sha256()
    sent = amount("sending the code to the scheduler", tell) if tell else None
    while data := await asyncio.to_thread(file.read, CHUNK):
        checksum.update(data)
        await put(user=client.id, data=data)
        if sent is not None:
            sent(file.tell(), size)
    return checksum.hexdigest()


def receipts_of(told: dict[str, Any]) -> tuple[Receipt, ...]:
    """Return the receipts of a status, the scheduler's first."""
    made = [Receipt(**receipt) for receipt in told["receipts"]]
    return tuple(sorted(made, key=lambda receipt: (receipt.role, receipt.name)))


async def _ask(client: Client, verb: str, **told: object) -> Any:  # noqa: ANN401 -- each verb's own answer
    return await getattr(client.scheduler, f"daskbridge_code_{verb}")(**told)


async def _send(client: Client, bundle: CodeBundle, tell: Tell | None) -> None:
    wanted = await _ask(client, "begin")
    if wanted["live"]:
        return
    sent = await upload(client, bundle, wanted, partial(_ask, client, "put"), tell)
    await _ask(client, "activate", user=client.id, sha256=sent)


async def _register(client: Client, bundle: CodeBundle, *, exclusive: bool) -> None:
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin, DownloadCodeBundleWorkerPlugin

    live = (await _ask(client, "begin"))["live"]
    if not live:
        await client.register_plugin(DownloadCodeBundleNannyPlugin(bundle.reference))
        await client.register_plugin(DownloadCodeBundleWorkerPlugin(bundle.reference, exclusive=exclusive))
