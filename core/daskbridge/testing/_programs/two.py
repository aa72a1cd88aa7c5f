"""Two clusters at the same time, in two threads of one process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskbridge.testing._driver import Driver


def play(driver: Driver) -> None:
    """Run two bodies; where a suite says with which code, a module of the same name differs in it."""
    from daskbridge.topology import Dask, WorkerGroup

    if {"exclusive", "two-at-once"} & driver.lacks:
        return
    topology = driver.topology(Dask(workers=WorkerGroup(1)))
    name = f"same_{driver.project.token}"
    together = threading.Barrier(2)
    vars(driver.entry)["watched"] = lambda: _body(driver, name, together)

    def run(number: int) -> dict[str, Any]:
        if "suite" in driver.order:
            return {**driver.run(topology, None), "expected": driver.project.tokens}
        root = Path(driver.order["reports"]).with_name(f"code{number}")
        root.mkdir()
        (root / f"{name}.py").write_text(f"TOKEN = {number}\n", "utf-8")
        return {**driver.run(topology, None, code=str(root)), "expected": number}

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(copy_context().run, run, number) for number in (1, 2)]
        driver.report("seen", [future.result() for future in futures])


def _body(driver: Driver, name: str, together: threading.Barrier) -> dict[str, Any]:
    from distributed import Client, get_client

    shipped = "suite" in driver.order

    def code() -> object:
        import importlib

        return importlib.import_module(name).TOKEN

    client = get_client()
    together.wait(driver.patience)
    with Client() as bare:
        other = bare.scheduler_info(n_workers=0)["id"]
    function = driver.entry.code if shipped else code
    found = {
        "scheduler": client.scheduler_info(n_workers=0)["id"],
        "bare client": other,
        "code": client.submit(function, pure=False).result(driver.patience),
    }
    together.wait(driver.patience)
    return found
