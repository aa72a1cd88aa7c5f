"""Generators whose body has a cluster, which is current in their steps and not between them.

A context variable that is set across a ``yield`` would reach the consumer.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from functools import wraps
from typing import TYPE_CHECKING, Any

from daskbridge._threads import in_thread
from daskbridge.plugins import plugins
from daskbridge.runtime._around import around
from daskbridge.runtime._results import refuse_remains

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from daskbridge.runtime._calls import Calls


def iterating(function: Callable[..., Any], calls: Calls) -> Callable[..., Generator[Any, Any, Any]]:
    """Return a generator function like ``function``; its first step starts the cluster, its end ends it."""

    @wraps(function)
    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 -- the function's own
        with around(plugins().orchestrator()):
            block = calls.block(args, kwargs)
            with calls.turn(), block as cluster, closing(function(*args, **kwargs)) as steps:
                block.step_aside()
                sent, thrown = None, None
                while True:
                    with cluster.context():
                        try:
                            value = steps.send(sent) if thrown is None else steps.throw(thrown)
                        except StopIteration as end:
                            refuse_remains(end.value)
                            return end.value
                    try:
                        sent, thrown = (yield value), None
                    except GeneratorExit:
                        with cluster.context():  # its own clean-up may need the cluster
                            steps.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 -- what the consumer throws is the body's
                        thrown = error

    return iterate


def aiterating(function: Callable[..., Any], calls: Calls) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Do the same for an asynchronous generator function."""

    @wraps(function)
    async def aiterate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 -- as above
        with around(await in_thread(plugins().orchestrator)):
            block = calls.block(args, kwargs)
            async with calls.aturn(), block as cluster, aclosing(function(*args, **kwargs)) as steps:
                block.step_aside()
                sent, thrown = None, None
                while True:
                    with cluster.context(), block.step():
                        try:
                            value = await (steps.asend(sent) if thrown is None else steps.athrow(thrown))
                        except StopAsyncIteration:
                            return
                    try:
                        sent, thrown = (yield value), None
                    except GeneratorExit:
                        with cluster.context():
                            await steps.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 -- as above
                        thrown = error

    return aiterate
