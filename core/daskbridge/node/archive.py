"""Keep a bundle's archive beside its tree on the scheduler's host, for nodes that come to fetch it."""

from __future__ import annotations

import hashlib
import os
import shutil
from itertools import chain
from typing import TYPE_CHECKING

from .compress import CHUNK, FORMATS, form_of, recompress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .install import HostCache, Installed, Source
    from .unpack import Reference


def install_sent(cache: HostCache, reference: Reference, upload: str | None, sha256: str) -> Installed:
    """Install an upload, or without one what the cache or the store has."""
    if not upload:
        return cache.install(reference, store(reference))
    sent = os.path.join(upload, "archive")
    try:
        with open(sent, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                msg = "the archive was damaged on its way to the scheduler"
                raise RuntimeError(msg)
        installed = cache.install(reference, [("driver", lambda: _read(sent))])
        with cache.locked(reference["digest"]):
            os.replace(sent, cache.path(reference["digest"], "archive"))
    finally:
        shutil.rmtree(upload)
    return installed


def install_from(cache: HostCache, reference: Reference, archive: str) -> Installed:
    """Install a file that stays where it is; late nodes of other hosts find a copy in the cache."""
    installed = cache.install(reference, [("driver", lambda: _read(archive)), *store(reference)])
    with cache.locked(reference["digest"]):
        kept = cache.path(reference["digest"], "archive")
        if not os.path.exists(kept):
            shutil.copyfile(archive, f"{kept}.part")
            os.replace(f"{kept}.part", kept)
    return installed


def form_kept(archive: str, reference: Reference) -> str:
    """Return the format of a kept archive, or of that in the store."""
    try:
        with open(archive, "rb") as file:
            return form_of(file.read(4))
    except FileNotFoundError:
        return reference["format"]


def in_gzip(archive: str, reference: Reference) -> str:
    """Return the kept archive, or that in the store, packed anew for nodes that read nothing else."""
    packed = f"{archive}.gz"
    if not os.path.exists(packed):
        sources = [("", lambda: _read(archive))] if os.path.exists(archive) else store(reference)
        pieces = chain.from_iterable(get() for _, get in sources)
        with open(f"{packed}.part", "wb") as file:
            recompress(pieces, file, "tar.gz")
        os.replace(f"{packed}.part", packed)
    return packed


def store(reference: Reference) -> list[Source]:
    """Return the source that the reference's URL is, if this process can read what lies there."""
    url = reference["url"]
    return [("store", lambda: _fetch(url))] if url and reference["format"] in FORMATS else []


def _fetch(url: str) -> Iterator[bytes]:
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            while data := file.read(CHUNK):
                yield data
    except Exception as error:  # noqa: BLE001 -- each driver has its own
        msg = f"{type(error).__name__} while reading the store"  # its text may hold the URL's credentials
        raise OSError(msg) from None


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            yield data
