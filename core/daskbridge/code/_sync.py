"""Bring a bundle to every node of a running cluster, and take it away again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daskbridge.code._limits import check_archive
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.code._bundle import CodeBundle

_POLL = 0.02
_SLOWEST = 0.5


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
    client: Client, bundle: CodeBundle, *, exclusive: bool = True, timeout: float = 300.0
) -> tuple[Receipt, ...]:
    """Install ``bundle`` on the scheduler and all workers, now and later; return their receipts.

    ``client`` is asynchronous, on the running loop. On an ``exclusive`` cluster a worker that
    can't get the code is closed; on a shared one it is left alone, and several clients may use
    the same bundle. Raises :class:`~daskbridge.errors.BundleError` with the cause of each worker
    unless every connected worker has it within ``timeout`` seconds; then nothing stays behind.
    """
    from daskbridge.node.origin import DownloadCodeBundleSchedulerPlugin

    check_archive(bundle.size, bundle.selection, store=bundle.url is not None)
    try:
        async with asyncio.timeout(timeout):
            await client.register_plugin(DownloadCodeBundleSchedulerPlugin(bundle.reference, user=client.id))
    except Exception as error:
        raise BundleError(
            f"the scheduler can't take the code: {str(error) or type(error).__name__}"
        ) from error
    try:
        async with asyncio.timeout(timeout):
            await _send(client, bundle)
            await _register(client, bundle, exclusive=exclusive)
            return await _all_receipts(client)
    except BaseException as error:
        failure = await _explain(client, error, timeout)
        await _forget_noting(client, failure)
        if failure is error:
            raise
        raise failure from error


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
        raise BundleError("the scheduler has no code: it was replaced, or the code was forgotten")
    return status


async def _send(client: Client, bundle: CodeBundle) -> None:
    from daskbridge.node.unpack import CHUNK

    wanted = await _ask(client, "begin")
    if wanted["live"]:
        return
    if wanted["want"]:
        with bundle.archive.open("rb") as file:
            while data := await asyncio.to_thread(file.read, CHUNK):
                await _ask(client, "put", user=client.id, data=data)
    await _ask(client, "activate", user=client.id, sha256=bundle.sha256)


async def _register(client: Client, bundle: CodeBundle, *, exclusive: bool) -> None:
    from daskbridge.node.code import DownloadCodeBundleNannyPlugin, DownloadCodeBundleWorkerPlugin

    live = (await _ask(client, "begin"))["live"]
    if not live:
        await client.register_plugin(DownloadCodeBundleNannyPlugin(bundle.reference))
        await client.register_plugin(DownloadCodeBundleWorkerPlugin(bundle.reference, exclusive=exclusive))


async def _all_receipts(client: Client) -> tuple[Receipt, ...]:
    pause = _POLL
    while (status := await _status(client))["missing"]:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _SLOWEST)
    return _sorted(status)


def _sorted(status: dict[str, Any]) -> tuple[Receipt, ...]:
    made = [Receipt(**receipt) for receipt in status["receipts"]]
    return tuple(sorted(made, key=lambda receipt: (receipt.role, receipt.name)))


async def _explain(client: Client, error: BaseException, timeout: float) -> BaseException:
    if isinstance(error, BundleError) or not isinstance(error, Exception):
        return error
    lines = [str(error) or f"not done within {timeout:g} s"]
    try:
        status = await _status(client)
    except (OSError, RuntimeError) as unreachable:
        lines.append(f"the scheduler does not answer: {unreachable}")
    else:
        lines = [f"{worker}: {cause}" for worker, cause in status["failures"].items()] or lines
        lines += [f"{worker}: no receipt" for worker in status["missing"] if worker not in status["failures"]]
    return BundleError("the code did not reach every node:\n  " + "\n  ".join(lines))


async def _forget_noting(client: Client, failure: BaseException) -> None:
    """Forget the code, without masking why."""
    try:
        async with asyncio.timeout(30):
            await forget_code(client)
    except Exception as error:  # noqa: BLE001 -- reported as a note of the failure
        failure.add_note(f"and the code plugins could not be removed: {error!r}")
