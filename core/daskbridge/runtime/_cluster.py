"""The running cluster as the user's body sees it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from daskbridge.runtime._current import make_current, make_other_current
from daskbridge.runtime._wait import attentively

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from distributed import Client, Security

    from daskbridge.cluster import Lease
    from daskbridge.code import Receipt
    from daskbridge.plugins import ClusterRef, Step
    from daskbridge.runtime._client import RunClient
    from daskbridge.runtime._code import Code
    from daskbridge.runtime._engine import Engine
    from daskbridge.runtime._loop import LoopThread


class Cluster:
    """Hold a cluster while a block runs; what ``with transient(...)`` gives.

    ``client`` is a synchronous ``distributed.Client``, or under ``async with`` an asynchronous one
    on the caller's loop. Every method may be called from any thread.
    """

    client: RunClient

    def __init__(self, engine: Engine, loop: LoopThread, client: RunClient) -> None:
        self._engine = engine
        self._loop = loop
        self.client = client

    def __repr__(self) -> str:
        return f"<Cluster {self.ref.name} by {self.ref.kind} at {self.ref.scheduler_address}>"

    @property
    def ref(self) -> ClusterRef:
        """Say where the cluster is, for another process to attach to."""
        ref = self._engine.run.ref
        assert ref is not None
        return ref

    @property
    def scheduler_address(self) -> str:
        """Return the scheduler's address, e.g. for ``Client(address)``."""
        return self.ref.scheduler_address

    @property
    def dashboard_link(self) -> str | None:
        """Return the link to Dask's dashboard, or None where the scheduler has no bokeh."""
        return self.ref.dashboard_link

    @property
    def lease(self) -> Lease:
        """Say who ends the cluster and when, in words and in seconds."""
        return self._engine.connection.lease

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what was started otherwise than the topology asks, and what else is unusual."""
        return tuple(self._engine.notes)

    @property
    def timeline(self) -> tuple[Step, ...]:
        """Return the steps of the run that have ended, with their durations."""
        return self._engine.timeline.steps

    @property
    def security(self) -> Security | None:
        """Return what a client needs where the cluster speaks TLS: ``Client(address, security=...)``."""
        security: Any = self._engine.handle.security
        return cast("Security | None", security)

    def environment(self) -> dict[str, str]:
        """Return the variables by which a bare ``Client()`` of another program reaches the cluster.

        With TLS they hold a private key: hand them to a process that you start, and write them nowhere.
        """
        from daskbridge.cluster._tls import client_environment

        return {"DASK_SCHEDULER_ADDRESS": self.scheduler_address, **client_environment(self.security)}

    @contextmanager
    def context(self) -> Iterator[Client]:
        """Make ``get_client()`` reach this cluster in a thread that the body started."""
        before = make_current(self.client)
        try:
            yield self.client
        finally:
            make_other_current(self.client, before)

    def scale(self, number: int, group: str = "default") -> None:
        """Bring a worker group to ``number`` workers. Raises ProvisioningError where that can't be."""
        attentively(self._loop.submit(self._engine.handle.scale, group, number))

    def sync(
        self, code: Code = None, *, policy: Literal["error", "restart"] = "error"
    ) -> tuple[Receipt, ...]:
        """Pack the code again and see to it that every node has that; return each node's receipt.

        ``code`` is what :func:`~daskbridge.transient` takes; without it what this run shipped is packed anew.
        If the nodes have that, nothing happens. Otherwise ``policy`` decides: "error" raises
        :class:`~daskbridge.errors.CodeChanged` with the names of some files. With "restart" every worker is
        replaced by a new process that has the new code from its start, and the scheduler exchanges it in
        its own. As with ``Client.restart()`` all tasks and results are gone: futures of before end in
        :class:`~daskbridge.errors.StaleCode`, and so does what other processes submit that still have the
        code of before. The driver's own modules stay as they are: reload what you changed.

        Waits for as many workers as there were, at most the topology's ``start_timeout``. Raises
        :class:`~daskbridge.errors.BundleError`, with nothing changed, where others use the cluster, where
        nobody would start the workers again, and for code that can't be packed. Raises
        :class:`~daskbridge.errors.CodeNotDelivered`, which says which code the nodes have then.

        >>> from daskbridge import Dask, transient
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "answers.py")
        >>> _ = file.write_text("def answer(): return 41")
        >>> def ask():
        ...     import answers
        ...     return answers.answer()
        >>> with transient(Dask(), code=file.parent) as cluster:
        ...     before = cluster.client.submit(ask, pure=False).result()
        ...     _ = file.write_text("def answer(): return 42  # mended")
        ...     receipts = cluster.sync(policy="restart")
        ...     before, cluster.client.submit(ask, pure=False).result(), len(receipts)
        (41, 42, 2)
        """
        return attentively(self._loop.submit(self._engine.new_code.sync, code, policy, self.client))

    async def sync_async(
        self, code: Code = None, *, policy: Literal["error", "restart"] = "error"
    ) -> tuple[Receipt, ...]:
        """Do what :meth:`sync` does, without blocking the caller's loop."""
        syncing = self._loop.submit(self._engine.new_code.sync, code, policy, self.client)
        return await asyncio.wrap_future(syncing)

    def logs(self) -> Mapping[str, str]:
        """Return the last lines of each process's output, where the provisioner has them."""
        return attentively(self._loop.submit(self._engine.handle.logs))

    def close(self) -> None:
        """End the cluster now and wait for it; the block's end then has nothing left to do.

        Works from another thread and from a signal handler; a second call waits for the first, and
        a call after the block's end does nothing.
        """
        if not self._engine.gone.is_set():
            attentively(self._loop.submit(self._engine.close, "closed by the user"))

    async def aclose(self) -> None:
        """End the cluster as :meth:`close` does, without blocking the caller's loop."""
        if not self._engine.gone.is_set():
            await asyncio.wrap_future(self._loop.submit(self._engine.close, "closed by the user"))

    def request_close(self) -> None:
        """Ask for the end and return at once."""
        self._engine.request_close()
