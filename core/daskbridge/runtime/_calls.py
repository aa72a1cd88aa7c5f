"""The four kinds of functions that a cluster can be opened for, each wrapped as one of its kind."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from daskbridge._threads import in_thread
from daskbridge.plugins import plugins
from daskbridge.runtime._around import around
from daskbridge.runtime._block import Transient
from daskbridge.runtime._generators import aiterating, iterating
from daskbridge.runtime._results import refuse_remains

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from daskbridge.runtime._options import Options
    from daskbridge.runtime._sizing import Sizing
    from daskbridge.runtime._turns import Turns


class Calls:
    """Say what each call of one function has: a block with its topology, and its turn."""

    def __init__(self, options: Options, sizing: Sizing | None, turns: Turns | None) -> None:
        self._options = options
        self._sizing = sizing
        self._turns = turns

    def block(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Transient:
        """Return the block of one call. Raises what is wrong with a topology that depends on it."""
        if self._sizing is None:
            return Transient(self._options)
        return Transient(replace(self._options, topology=self._sizing(args, kwargs), by_call=False))

    def turn(self) -> AbstractContextManager[None]:
        """Wait for a turn, if there is a bound."""
        return nullcontext() if self._turns is None else self._turns.turn()

    def aturn(self) -> AbstractAsyncContextManager[None]:
        """Do the same on an event loop."""
        return nullcontext() if self._turns is None else self._turns.aturn()


def wrapped(function: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    """Return ``function`` with a cluster around its body; asynchronous or a generator as it is itself."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- the function's own, as everywhere here
        with around(plugins().orchestrator()):
            block = calls.block(args, kwargs)
            with calls.turn(), block:
                result = function(*args, **kwargs)
                refuse_remains(result)
                return result

    @wraps(function)
    async def arun(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with around(await in_thread(plugins().orchestrator)):
            block = calls.block(args, kwargs)
            async with calls.aturn(), block:
                result = await function(*args, **kwargs)
                refuse_remains(result)
                return result

    if inspect.iscoroutinefunction(function):
        return arun
    if inspect.isgeneratorfunction(function):
        return iterating(function, calls)
    return aiterating(function, calls) if inspect.isasyncgenfunction(function) else run
