"""``transient``: a cluster for one block."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from daskbridge.runtime._block import Transient
from daskbridge.runtime._options import Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daskbridge.cluster import Provisioner
    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.runtime._options import Event
    from daskbridge.runtime._scope import Scope
    from daskbridge.serialization import TopologyLike
    from daskbridge.topology import Dask


def transient(  # noqa: PLR0913 -- each but the first is an option
    topology: TopologyLike,
    *,
    provisioner: str | Provisioner | None = None,
    code: bool | str | Path | CodeSpec | CodeBundle | InstalledCode | None = None,
    cancel: Event | None = None,
    name: str = "",
    on_interrupt: Callable[[], None] | None = None,
    asynchronous: bool | None = None,
    scope: Scope = "task",
) -> Transient:
    """Start a cluster for a ``with`` or ``async with`` block and end it when the block is left.

    ``topology`` is a ``Dask``, a mapping or JSON text that describes one, the path of a file, or a name in
    Dask's configuration (see :func:`~daskbridge.serialization.topology_from`).
    ``provisioner`` is a name (see ``daskbridge plugins``) or an object; without one the setting
    ``daskbridge.provisioner`` counts, else ``local``. ``code`` is what the nodes get: by default
    the script's project, a path or a ``CodeSpec`` for another, False for nothing, an ``InstalledCode``
    for what is in the nodes' image. Setting
    ``cancel`` ends provisioning, or the body's waiting for results, with
    :class:`~daskbridge.errors.RunCancelled`. ``name`` is for people. ``on_interrupt`` is called once,
    on the core's thread, when a cancel or a lost cluster ends the body's waiting: for a body that
    waits for something else. ``asynchronous`` says whether ``cluster.client`` is: by default it is
    under ``async with``; False gives a blocking client there, for a body that runs in a thread or
    that calls code which blocks.

    ``scope`` says whose the cluster is: the "task" alone has it, or the blocks of this "process", or of
    the "flow" run that an orchestrator knows, share it if their topologies are equal. The first one in
    starts it, the last one out ends it. Other code than the nodes have is refused.

    In the block ``distributed.get_client()`` and a bare ``Client()`` reach this cluster. The
    block's own error always wins; what goes wrong while closing is noted on it. On SIGTERM the
    main thread leaves the block with ``SystemExit(143)``, unless a handler is installed already.

    The topology is checked at once; everything else happens on entry, and a block that can't be
    entered leaves nothing. Raises a :class:`~daskbridge.errors.DaskbridgeError` that says which.

    >>> from daskbridge import Dask, WorkerGroup, transient
    >>> with transient(Dask(workers=WorkerGroup(2))) as cluster:
    ...     cluster.client.submit(pow, 2, 10).result()
    1024
    >>> shared = transient(Dask(), scope="process", code=False)
    >>> with shared as one, transient(Dask(), scope="process", code=False) as other:
    ...     one.scheduler_address == other.scheduler_address
    True
    """
    options = Options(
        cast("Dask", topology),
        provisioner,
        code,
        cancel,
        name,
        on_interrupt,
        asynchronous=asynchronous,
        scope=scope,
    )
    return Transient(options)
