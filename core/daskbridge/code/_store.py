"""Put a bundle where nodes fetch it themselves, so that its bytes don't pass through the scheduler."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from daskbridge.code._progress import amount
from daskbridge.errors import BundleError
from daskbridge.node.compress import CHUNK

if TYPE_CHECKING:
    from daskbridge.code._bundle import CodeBundle
    from daskbridge.code._progress import Tell


def publish(bundle: CodeBundle, url: str, *, tell: Tell | None = None) -> CodeBundle:
    """Upload ``bundle`` below ``url`` (any fsspec URL) unless it is there whole; return it with its address.

    The file is called after the tree's digest and appears whole or not at all where the store
    can rename. Nodes need the store's fsspec driver and credentials. Blocks; ``tell(words)`` is
    called for each MiB. Raises :class:`~daskbridge.errors.BundleError` if the store refuses.
    """
    import fsspec

    told = amount("sending the code to the store", tell) if tell else None
    target = f"{url.rstrip('/')}/{bundle.digest}.{bundle.format}"
    try:
        store, path = fsspec.core.url_to_fs(target)
        if not store.exists(path) or store.size(path) not in {None, bundle.size}:
            store.makedirs(path.rpartition("/")[0], exist_ok=True)
            part = f"{path}.{uuid4().hex}.part"
            try:
                with bundle.archive.open("rb") as source, store.open(part, "wb") as sink:
                    while data := source.read(CHUNK):
                        sink.write(data)
                        if told is not None:
                            told(source.tell(), bundle.size)
                store.mv(part, path)
            except BaseException:
                with suppress(Exception):  # what went wrong first is told
                    store.rm(part)
                raise
    except Exception as error:  # noqa: BLE001 -- each driver has its own
        # The cause is not chained: drivers print URLs with their credentials.
        msg = f"the store refused the code bundle: {type(error).__name__}"
        raise BundleError(
            msg, hint="check the store's URL and credentials, and that its fsspec driver is here"
        ) from None
    return replace(bundle, url=target)
