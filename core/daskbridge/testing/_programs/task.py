"""Tasks of an orchestrator: who claims the process when, what is seen of a task, what its body can do."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from daskbridge.testing._programs._nodes import address_of
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from daskbridge.plugins import Orchestrator, PluginInfo
    from daskbridge.testing._driver import Driver
    from daskbridge.topology import Dask

#: Prints which modules it has loaded once it has imported one.
LOADING = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
importlib.import_module(sys.argv[2])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def play(driver: Driver) -> None:
    """Look at the process before, while and after it runs tasks."""
    from daskbridge.serialization import to_document
    from daskbridge.topology import Dask, WorkerGroup

    topology = driver.topology(Dask(workers=WorkerGroup(1)))
    driver.observe("plugin", lambda: _plugin(driver.order["adapter"]))
    driver.observe("claimed before it is loaded", _claimed)
    driver.observe("suite", lambda: type(driver.suite).__name__)
    driver.observe("claimed before a task", _claimed)
    _run(driver, "task", topology, partial(_task, driver))
    driver.observe("claimed after a task", _claimed)
    driver.observe("times", lambda: _times(driver, topology))
    _run(driver, "another cluster", topology, _nested)
    if "documents" not in driver.lacks:
        _run(driver, "document", to_document(topology), _computed)
    if "async-bodies" not in driver.lacks:
        _run(driver, "async", topology, _awaited, body="body_async")


def _run(driver: Driver, name: str, topology: Any, look: Callable[[], Any], **options: str) -> None:  # noqa: ANN401 -- as Driver.run's
    """Run a body that reports what it sees: whether its result comes back is another test's."""

    async def later() -> None:
        driver.report(name, await look())

    watched = later if options else lambda: driver.observe(name, look)
    driver.observe(f"run of {name}", lambda: driver.run(topology, watched, **options))


def _plugin(adapter: str) -> dict[str, Any]:
    """Return what is known of the plugin that provides the orchestrator, and what importing it loads."""
    from daskbridge.plugins import plugins

    listing = plugins().listing()
    found = _providing(adapter, listing)
    if found is None:
        told = {info.name: info.error for info in listing if info.error}
        provided = [what.partition(":") for info in listing for what in info.provides]
        known = [name for kind, _, name in provided if kind == "orchestrator"]
        plugins_here = sorted(info.name for info in listing)
        return {"module": None, "orchestrators": known, "not usable": told, "plugins": plugins_here}
    command = [sys.executable, "-c", LOADING, json.dumps(sys.path), found.module]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- this Python
    return {"module": found.module, "loads": json.loads(loaded.stdout)}


def _providing(adapter: str, listing: list[PluginInfo]) -> PluginInfo | None:
    return next((info for info in listing if f"orchestrator:{adapter}" in info.provides), None)


def _orchestrator() -> Orchestrator | None:
    from daskbridge.plugins import plugins

    return plugins().orchestrator()


def _not_imported(adapter: str) -> str:
    """Name the module that would have to be imported here for the orchestrator to be asked, if it is not."""
    from daskbridge.plugins import plugins

    offered = plugins()._offers("daskbridge_orchestrators")  # noqa: SLF001 -- not asked who detects itself
    names = [item.loaded for _, item in offered if item.name == adapter]
    return next((name for name in names if name and name not in sys.modules), "")


def _claimed() -> str | None:
    found = _orchestrator()
    return None if found is None else found.name


def _task(driver: Driver) -> None:
    """Look at what there is of this task while its body runs."""
    from distributed import get_client

    client, suite, run = get_client(), driver.suite, driver.heard[-1].run
    driver.observe("orchestrator", lambda: [run.orchestrator, _claimed()])
    driver.observe("not imported", lambda: _not_imported(driver.order["adapter"]))
    driver.observe("loaded", lambda: getattr(_orchestrator(), "loaded", ""))
    driver.observe("link", lambda: run.ref and run.ref.dashboard_link)
    asked: dict[str, Callable[[], object]] = {
        "run_name": lambda: [run.name, suite.run_name()],
        "published": lambda: _text(suite.published()),
        "heard": lambda: _heard(driver, client),
        "logged": lambda: _logged(driver, client),
    }
    for name in asked.keys() & driver.order["given"]:
        driver.observe(name, asked[name])


def _heard(driver: Driver, client: Client) -> list[str]:
    """Return what the orchestrator has heard when the body begins, and what more while it waits."""
    heard = driver.suite.heard
    first = _text(heard())

    def later() -> str:
        client.submit(abs, 1, pure=False).result()
        return _text(heard())

    try:
        return [first, until(later, driver.order["settles"], "news", wanted=lambda found: found != first)]
    except TimeoutError:
        return [first, first]


def _logged(driver: Driver, client: Client) -> bool:
    """Let a worker print something and wait until the task's log has it."""
    word = f"printed-{driver.project.token}"
    client.submit(print, word).result()
    try:
        return until(
            lambda: word in _text(driver.suite.logged()), driver.order["settles"], "the printed word"
        )
    except TimeoutError:
        return False


def _text(told: object) -> str:
    """Return what an author's method tells as text: a string, or any number of anything."""
    return told if isinstance(told, str) else json.dumps(told, default=str)


def _times(driver: Driver, topology: Dask) -> int:
    """Return how often one task runs its body, however it ends."""
    calls: list[None] = []
    with suppress(Exception):
        driver.run(topology, partial(calls.append, None))
    return len(calls)


def _nested() -> dict[str, str]:
    """Open another cluster in the body; say which one is reached before, within and after."""
    from distributed import get_client

    from daskbridge.runtime import transient
    from daskbridge.topology import Dask, WorkerGroup

    outer = address_of(get_client())
    with transient(Dask(workers=WorkerGroup(1)), code=False) as cluster:
        seen = {"inner": cluster.scheduler_address, "within": address_of(get_client())}
    get_client().submit(abs, -1, pure=False).result()
    return {**seen, "outer": outer, "afterwards": address_of(get_client())}


def _computed() -> int:
    from distributed import get_client

    return int(get_client().submit(pow, 2, 10).result())


async def _awaited() -> int:
    from distributed import get_client

    client: Any = get_client()
    future = client.submit(pow, 2, 10)
    return int(await future if client.asynchronous else future.result())
