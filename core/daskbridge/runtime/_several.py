"""What a bare ``Client()`` finds in Dask's configuration while several clusters are open."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from daskbridge.errors import AmbiguousCluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from distributed import Client, Status


class Several(str):
    """Stand for that one of several clusters which is current in the context of whoever asks.

    Dask takes an object with ``scheduler_address`` for a cluster, and asks it when a client is made.
    Whatever reads the configuration as text sees a text.
    """

    __slots__ = ("_open",)
    _open: Mapping[str, Any]

    def __new__(cls, clusters: Mapping[str, Any]) -> Self:
        """Take the open clusters: address to ``distributed.Security`` or None."""
        made = super().__new__(cls, "daskbridge://more-than-one-cluster-is-open")
        made._open = clusters
        return made

    @property
    def scheduler_address(self) -> str:
        """Return the current cluster's address. Raises AmbiguousCluster where none is current."""
        from distributed.client import _current_client

        client: Client | None = _current_client.get()
        address = getattr(client and client.scheduler, "address", None)
        if address in self._open:
            return str(address)
        names = ", ".join(sorted(self._open))
        msg = f"a bare Client() can't tell which cluster it should reach: {names} are open in this process"
        hint = "use cluster.client, Client(cluster.scheduler_address), or cluster.context() in a thread"
        raise AmbiguousCluster(msg, hint=hint)

    @property
    def security(self) -> Any:  # noqa: ANN401 -- distributed's Security or None
        """Return what a client of the current cluster needs."""
        return self._open[self.scheduler_address]

    @property
    def status(self) -> Status:
        """Tell Dask that this cluster can be connected to."""
        from distributed import Status

        return Status.running

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Be a text for others: what a client needs to connect stays in this process."""
        return str, (str(self),)

    def _repr_html_(self) -> str:
        return f"<code>{self}</code>"

    async def close(self) -> None:
        """End the current cluster's scheduler, for ``Client.shutdown()``."""
        from distributed import rpc
        from distributed.comm.core import CommClosedError

        security = self.security
        arguments = security.get_connection_args("client") if security else {}
        async with rpc(self.scheduler_address, connection_args=arguments) as scheduler:
            with suppress(CommClosedError):  # it ends before it answers
                await scheduler.terminate()

    def __await__(self) -> Iterator[None]:
        """Let Dask wait for the cluster, which is there."""
        yield from ()
