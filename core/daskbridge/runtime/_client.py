"""A client of one scheduler, and of none that takes its place."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from distributed import Client

if TYPE_CHECKING:
    from collections.abc import Callable

_connecting = ContextVar("_connecting", default=False)


class RunClient(Client):
    """Connect to one scheduler; never again to another one at the same address.

    Dask's own client reconnects to whatever answers there. A scheduler that a platform has started
    anew knows neither the run's code nor its data, and new workers would run tasks without either.
    """

    #: Set once another scheduler has answered; the client is closed then.
    replaced = False
    #: What ``shutdown()`` does where others use the cluster, too.
    leave: Callable[[], None] | None = None
    _first: str | None = None

    def __init__(self, address: str, **options: Any) -> None:  # noqa: ANN401 -- those of Dask's client
        super().__init__(address, **options)  # type: ignore[no-untyped-call]

    async def _shutdown(self) -> None:
        if self.leave is None:
            await super()._shutdown()  # type: ignore[no-untyped-call]
        else:
            self.leave()
            await self._close()

    async def _ensure_connected(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as inherited
        token = _connecting.set(True)
        try:
            await super()._ensure_connected(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            _connecting.reset(token)

    async def _update_scheduler_info(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as inherited
        """Learn who answers; called by Dask now and then, and before the client registers there."""
        await super()._update_scheduler_info(*args, **kwargs)  # type: ignore[no-untyped-call]
        answers = self._scheduler_identity.get("id")
        if self._first is None:
            self._first = answers
        elif _connecting.get() and answers not in {None, self._first}:
            self.replaced = True
            msg = "another scheduler has taken the place of the run's"
            raise ImportError(msg)  # the one error after which Dask closes a client and tries no more


class OwnerClient(RunClient):
    """Give the scheduler a sign of life every ``heartbeat`` seconds, whatever else goes on.

    Left alone, Dask's clients are heard the less the more of them there are.
    """

    def __init__(self, address: str, *, heartbeat: float, **options: Any) -> None:  # noqa: ANN401 -- as above
        self._rhythm = heartbeat
        super().__init__(address, heartbeat_interval=1000 * heartbeat, **options)

    def _adjust_heartbeat_intervals(self, interval: float) -> None:
        """Take the scheduler's advice only to be heard more often; old schedulers give none."""
        super()._adjust_heartbeat_intervals(min(interval, self._rhythm))  # type: ignore[no-untyped-call]
