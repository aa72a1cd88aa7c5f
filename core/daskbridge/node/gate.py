"""Refuse tasks that expect other code than the nodes have, and keep all out while that is exchanged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from distributed.core import error_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Scheduler

#: What a client that says which code it expects writes into the annotations of a graph, and the scheduler
#: into what it tells such clients.
MARK = "daskbridge-code"
_PLACE = "_daskbridge_code_gate"
_AGAIN = "import the new code (importlib.reload, or a new process) and submit it again"
_MAKE = """
def make(words, hint):
    try:
        from daskbridge.errors import StaleCode
    except ImportError:
        return RuntimeError(words + "; " + hint)
    return StaleCode(words, hint=hint)
"""


class StaleCode(RuntimeError):
    """Report code that the nodes no longer have; where daskbridge is, it unpickles as daskbridge's own error.

    >>> import pickle
    >>> pickle.loads(pickle.dumps(StaleCode("0ac5ed8af65d", "77aa0c3f1b02")))
    StaleCode('this task is of the code 0ac5ed8af65d, and the nodes have 77aa0c3f1b02 by now')
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"this task is of the code {expected[:12]}, and the nodes have {found[:12]} by now")

    def __reduce__(self) -> tuple[Any, ...]:
        scope = {"boot": _MAKE, "words": str(self), "hint": _AGAIN}
        return eval, ("(exec(boot), make(words, hint))[1]", scope)


class Gate:
    """Stand before a scheduler's ``update-graph``, where a graph is not even unpickled yet."""

    def __init__(self, scheduler: Scheduler, plugin: str) -> None:
        self._scheduler = scheduler
        self._plugin = plugin
        self._behind = scheduler.stream_handlers["update-graph"]
        self._marking: set[str] = set()
        self._inside = 0
        self._empty, self._opened = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._opened.set()
        scheduler.stream_handlers["update-graph"] = self.enter

    @classmethod
    def of(cls, scheduler: Scheduler, plugin: str) -> Any:  # noqa: ANN401 -- may be of another source text
        """Return the scheduler's one gate; ``plugin`` is the name of who has the nodes' ``reference``."""
        return vars(scheduler).get(_PLACE) or vars(scheduler).setdefault(_PLACE, cls(scheduler, plugin))

    async def enter(
        self,
        *,
        client: str,
        keys: set[Any],
        annotations: dict[str, Any] | None = None,
        **graph: Any,  # noqa: ANN401 -- Dask's own
    ) -> None:
        """Let a graph pass that expects the nodes' code, or none; else fail its keys, for this client."""
        while not self._opened.is_set():
            await self._opened.wait()
        expected = annotations.pop(MARK, None) if annotations else None
        if expected is not None:
            self._marking.add(client)
            holder: Any = self._scheduler.plugins.get(self._plugin)
            if holder is not None and holder.reference["digest"] != expected:
                self._refuse(client, keys, expected, holder.reference["digest"])
                return
        self._inside += 1
        self._empty.clear()
        try:
            await self._behind(client=client, keys=keys, annotations=annotations, **graph)
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def closed(self, patience: float) -> AsyncIterator[None]:
        """Keep graphs out during a block, which begins when none is under way any more.

        Raises TimeoutError, and lets them in again, if that takes more than ``patience`` seconds.
        """
        self._opened.clear()
        try:
            async with asyncio.timeout(patience):
                await self._empty.wait()
            yield
        finally:
            self._opened.set()

    def tell(self, **message: Any) -> None:  # noqa: ANN401 -- what a message may hold
        """Send a message to the clients that say which code they expect; others would not know it."""
        self._marking &= self._scheduler.client_comms.keys()
        for client in self._marking:
            self._scheduler.client_comms[client].send({"op": MARK, **message})

    def take_down(self) -> None:
        """Leave the scheduler as it was, unless somebody else stands before this gate."""
        if self._scheduler.stream_handlers["update-graph"] == self.enter:
            self._scheduler.stream_handlers["update-graph"] = self._behind
            del vars(self._scheduler)[_PLACE]

    def _refuse(self, client: str, keys: set[Any], expected: str, found: str) -> None:
        comm: Any = self._scheduler.client_comms.get(client)
        failure = error_message(StaleCode(expected, found))
        for key in keys if comm is not None else ():
            told = {name: failure[name] for name in ("exception", "traceback")}
            comm.send({"op": "task-erred", "key": key, **told})
