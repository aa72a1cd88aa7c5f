"""Add to a user's error what only the cluster knows: notes, never another error in its place."""

from __future__ import annotations

import importlib.util
import pickle
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from daskbridge.code import CodeBundle, InstalledCode

#: How a worker's end is called in Dask's events, and what that means.
MEMORY_TOPIC = "worker-restart-memory"
SHOWN = 10
#: How pickle says that a function's module has a name that nothing can import.
_UNKNOWN = re.compile(r"import of module '([^']+)' failed")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Walk an error, what it came from, and what an exception group holds."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        link = left.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        left.append(link.__cause__ or link.__context__)
        if isinstance(link, BaseExceptionGroup):
            left += link.exceptions


def missing_module(error: BaseException, code: CodeBundle | InstalledCode | None) -> str | None:
    """Explain an import that failed on a node but works here: what was shipped, and why not this."""
    for link in chain(error):
        if not isinstance(link, ModuleNotFoundError) or not link.name:
            continue
        top = link.name.partition(".")[0]
        if _importable(top):
            from daskbridge.code import CodeBundle, explain_import

            if isinstance(code, CodeBundle):
                return explain_import(link.name, code, link)
            advice = "install it in their image, or ship it: leave out code="
            return f"no code was sent, and {link.name!r} is not installed on the nodes: {advice}"
    return None


def unpicklable(error: BaseException) -> str | None:
    """Say what to do about an object that can't be sent to a worker."""
    if name := next(filter(None, (_UNKNOWN.search(str(link)) for link in chain(error))), None):
        return (
            f"a file was loaded under the name {name[1]!r}, by which this process can't import it either:"
            " load it under a name without dots, or with the packages above it in sys.modules"
        )
    for link in chain(error):
        text = str(link).lower()
        if isinstance(link, pickle.PicklingError) or (
            isinstance(link, (TypeError, AttributeError)) and ("pickle" in text or "serialize" in text)
        ):
            return (
                "the function or one of its arguments holds something that can't be sent to a worker"
                " (a lock, an open file, a connection, a client): create it inside the function"
            )
    return None


def killed(
    error: BaseException,
    events: Mapping[str, Iterable[tuple[float, Any]]],
    names: Mapping[str, str],
    lines: Mapping[str, Sequence[str]],
) -> str | None:
    """Tell why the workers of a ``KilledWorker`` ended: each one's reason and its last lines.

    ``events`` are Dask's, by topic; ``names`` maps addresses to worker names, ``lines`` names to
    their last forwarded lines.
    """
    from distributed.scheduler import KilledWorker

    link = next((link for link in chain(error) if isinstance(link, KilledWorker)), None)
    if link is None:
        return None
    memory = {event["worker"]: event for _, event in events.get(MEMORY_TOPIC, ())}
    story = [f"task {link.task!r} was running on these workers when they ended:"]
    for _, event in events.get("all", ()):
        if event.get("action") != "remove-worker" or link.task not in event.get("processing-tasks", ()):
            continue
        address = event["worker"]
        name = names.get(address, address)
        if address in memory:
            used = memory[address]["rss"] / 2**20
            why = f"above its memory limit ({used:.0f} MiB in use): ended by who supervises it"
        else:
            why = f"its process or its connection ended ({event.get('stimulus_id', 'no reason known')})"
        story.append(f"  {name} ({address}): {why}")
        story += [f"    | {line}" for line in list(lines.get(name, ()))[-SHOWN:]]
    return "\n".join(story)


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
