"""Make a bare ``Client()`` reach the cluster that is open in this process, or current in its context.

Dask's configuration is global to the process, so what is set there follows the set of open
clusters, not the nesting of blocks: overlapping ``dask.config.set`` blocks that close out of order
leave the first one's values behind for good.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from daskbridge.runtime._several import Several

if TYPE_CHECKING:
    import dask.config
    from distributed import Client

_lock = threading.Lock()
_open: list[tuple[str, Any]] = []
_held: dask.config.set | None = None
_previous_loader: str | None = None
_previous_scheduler: Any = None


def opened(address: str, security: Any) -> None:  # noqa: ANN401 -- distributed's Security or None
    """Count a cluster as open in this process."""
    global _previous_scheduler  # noqa: PLW0603 -- the process's configuration is one, too
    import dask.config

    with _lock:
        if not _open:
            _previous_scheduler = dask.config.get("scheduler", None)
        _open.append((address, security))
        _apply()


def closed(address: str) -> None:
    """Count a cluster as closed; the last one leaves Dask's configuration as it was found."""
    with _lock:
        for entry in _open:
            if entry[0] == address:
                _open.remove(entry)
                break
        _apply()


def settle() -> None:
    """Take back what a bare ``Client()`` of the body left in Dask's configuration.

    distributed's Client sets ``scheduler`` for the process and takes that back on closing only if
    no client is current in its context; in a body one is.
    """
    import dask.config
    from distributed import default_client

    with _lock:
        if _open or dask.config.get("scheduler", None) in {None, _previous_scheduler}:
            return
        try:
            default_client()
        except ValueError:  # nobody is the default any more
            if _previous_scheduler is None:
                dask.config.config.pop("scheduler")
            else:
                dask.config.set(scheduler=_previous_scheduler)


def runs_on(address: str) -> int:
    """Count the runs of this process that have that cluster open."""
    with _lock:
        return [known for known, _ in _open].count(address)


def make_current(client: Client) -> Client | None:
    """Make ``get_client()`` give ``client`` in this context; return what it gave before."""
    from distributed.client import _current_client  # as_current() also changes global settings

    before = _current_client.get()
    _current_client.set(client)
    return before


def make_other_current(client: Client, before: Client | None) -> None:
    """Undo :func:`make_current`, unless somebody else is current by now or ``before`` is closed."""
    from distributed.client import _current_client

    if _current_client.get() is client:
        _current_client.set(before if before is not None and before.status == "running" else None)


def load_security(info: dict[str, Any]) -> Any:  # noqa: ANN401 -- distributed's Security or None
    """Serve as Dask's ``security-loader``: find what a bare ``Client()`` needs for ``info["address"]``."""
    for known, security in _open:
        if known == info["address"]:
            return security
    if _previous_loader:
        from distributed.utils import import_term

        return import_term(_previous_loader)(info)
    return None


def _apply() -> None:
    global _held, _previous_loader  # noqa: PLW0603 -- the process's configuration is one, too
    import dask.config

    if _held is not None:
        _held.__exit__(None, None, None)
        _held = None
    if not _open:
        return
    clusters = dict(_open)
    _previous_loader = dask.config.get("distributed.client.security-loader", None)
    _held = dask.config.set(
        {
            "scheduler-address": next(iter(clusters)) if len(clusters) == 1 else Several(clusters),
            "distributed.client.security-loader": f"{__name__}.load_security",
        }
    )


def _forget() -> None:
    """Start afresh in a forked child: the clusters belong to the parent."""
    global _lock  # noqa: PLW0603 -- the parent may hold it for ever
    _lock = threading.Lock()
    if _open:
        from distributed.client import _current_client

        _current_client.set(None)
    _open.clear()
    _apply()


os.register_at_fork(after_in_child=_forget)
