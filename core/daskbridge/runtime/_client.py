"""A client of one scheduler, and of none that takes its place."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from distributed import Client
from distributed.protocol.pickle import dumps

from daskbridge.errors import StaleCode as Refused
from daskbridge.node.gate import MARK, StaleCode

if TYPE_CHECKING:
    from collections.abc import Callable

_connecting = ContextVar("_connecting", default=False)


class RunClient(Client):
    """Connect to one scheduler; never again to another one at the same address.

    Dask's own client reconnects to whatever answers there. A scheduler that a platform has started
    anew knows neither the run's code nor its data, and new workers would run tasks without either.

    With ``code``, the digest of a bundle, the scheduler refuses what is submitted once the nodes have other
    code, and futures of before end in :class:`~daskbridge.errors.StaleCode`.
    """

    #: Which code the nodes must have for what is submitted.
    code: str | None = None

    #: Set once another scheduler has answered; the client is closed then.
    replaced = False
    #: What ``shutdown()`` does where others use the cluster, too.
    leave: Callable[[], None] | None = None
    _first: str | None = None

    def __init__(self, address: str, **options: Any) -> None:  # noqa: ANN401 -- those of Dask's client
        self._exchanged: StaleCode | None = None
        super().__init__(address, **options)  # type: ignore[no-untyped-call]
        self._stream_handlers[MARK] = self._handle_exchange

    def expect(self, code: str) -> None:
        """Say of what is submitted from now on that it expects this code; what was refused may come again."""
        self.code = code
        with self._refcount_lock:
            for key, state in list(self.futures.items()):
                if isinstance(state.exception, Refused):
                    del self.futures[key]  # or the same call would get this future once more

    def _send_to_scheduler(self, msg: dict[str, Any]) -> None:
        """Say of each graph which code it expects; no task gets an annotation by that."""
        annotations = getattr(msg.get("annotations"), "data", None)
        if self.code is not None and msg["op"] == "update-graph" and annotations is not None:
            annotations.setdefault(MARK, self.code)
        super()._send_to_scheduler(msg)  # type: ignore[no-untyped-call]

    def _handle_exchange(self, old: str, new: str) -> None:
        """Learn why the scheduler is about to forget all tasks."""
        self._exchanged = StaleCode(old, new)

    def _handle_restart(self) -> None:
        """End all futures: in the reason, where that is known."""
        states, exchanged = list(self.futures.values()), self._exchanged
        self._exchanged = None
        super()._handle_restart()  # type: ignore[no-untyped-call]
        for state in states if exchanged is not None else ():
            state.set_error(dumps(exchanged), None)

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
        except asyncio.CancelledError:
            if self.status not in {"closing", "closed"}:
                raise
            # a client that is closed tries no more; Dask would log that as an error
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
