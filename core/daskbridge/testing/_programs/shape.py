"""A cluster of all that its target declares, each in numbers that are no default; and an adaptive one."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from daskbridge.testing._programs._nodes import configured, environ, on_workers, wait_for, who, workers
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from distributed import Client

    from daskbridge.testing._driver import Driver
    from daskbridge.topology import Dask

#: What is asked: threads, memory, an abstract resource's amount, the name of a further group.
THREADS, OTHER_THREADS = 3, 2
MEMORY, MEBIBYTES = "512Mi", 512
AMOUNT, OTHER = 7, "other"
#: Environment variables: of which group, and a secret.
GROUP, SECRET = "KIT_GROUP", "KIT_SECRET"
QUICK = {"distributed": {"adaptive": {"interval": "100ms", "wait-count": 3, "target-duration": "10ms"}}}
#: Tasks that want more workers than one.
TASKS = 30


def play(driver: Driver) -> None:
    """Run a body on each of the two."""
    token = driver.project.token
    driver.report("token", token)
    driver.report("spill", str(Path(tempfile.gettempdir(), f"spill-{token}")))
    driver.run(_topology(driver), partial(_body, driver))
    shutil.rmtree(driver.told["spill"])  # Dask leaves its own directory there
    if "adaptive" in driver.capabilities:
        driver.observe("adapts", lambda: driver.run(_adaptive(driver), partial(_grow, driver)))


def _topology(driver: Driver) -> Dask:
    from daskbridge.topology import Dask, Resources, Scheduler, WorkerGroup

    can, token = driver.capabilities.__contains__, driver.project.token
    spill = Path(driver.told["spill"])
    spill.mkdir()
    common: dict[str, Any] = {}
    if can("worker-resources"):
        common["resources"] = Resources(memory=MEMORY)
    if can("local-directory"):
        common["local_directory"] = str(spill)
    if can("abstract-resources"):
        common["abstract_resources"] = {f"KIT-{token}": AMOUNT}

    def group(name: str, threads: int) -> WorkerGroup:
        env = {GROUP: f"{name}-{token}", SECRET: f"secret-{token}"} if can("env") else {}
        return WorkerGroup(1, env=env, threads=threads if can("threads") else None, **common)

    scheduler = Scheduler(env={GROUP: f"scheduler-{token}"} if can("env") else {})
    more: dict[str, Any] = {}
    if can("worker-groups"):
        more["worker_groups"] = {OTHER: group(OTHER, OTHER_THREADS)}
    if can("dask-config"):
        more["config"] = {"kit": {"token": token}}
    return driver.topology(Dask(scheduler, group("default", THREADS), **more))


def _body(driver: Driver) -> str:
    from distributed import get_client

    client = get_client()
    asked = 2 if "worker-groups" in driver.capabilities else 1
    driver.observe("number", lambda: wait_for(driver, client, asked))
    driver.observe("workers", lambda: {info["name"]: _told(info) for info in workers(client).values()})
    driver.observe("environ", lambda: on_workers(driver, client, environ(GROUP)))
    driver.observe("scheduler's environ", lambda: client.run_on_scheduler(environ(GROUP)))
    driver.observe("config", lambda: on_workers(driver, client, configured("kit.token")))
    driver.observe("scheduler's config", lambda: client.run_on_scheduler(configured("kit.token")))
    driver.observe("arguments", lambda: _arguments(f"secret-{driver.project.token}"))
    driver.observe("cluster", lambda: who(driver, client))
    return driver.project.token


def _told(info: dict[str, Any]) -> dict[str, Any]:
    """Return what the scheduler knows of a worker, as far as it was asked."""
    kept = {name: info[name] for name in ("nthreads", "memory_limit", "resources")}
    return {**kept, "local directory": info["local_directory"]}


def _arguments(secret: str) -> list[str]:
    """Say which processes of this machine show a secret in their arguments."""
    processes = psutil.process_iter(["pid", "name", "cmdline"])
    showing = (each.info for each in processes if secret in " ".join(each.info["cmdline"] or []))
    return [f"process {info['pid']}: {info['name']} ..." for info in showing]


def _adaptive(driver: Driver) -> Dask:
    from daskbridge.topology import Dask, WorkerGroup

    can = driver.capabilities.__contains__
    group = WorkerGroup(1, max_workers=2, threads=1 if can("threads") else None)
    return driver.topology(Dask(workers=group, config=QUICK if can("dask-config") else {}))


def _grow(driver: Driver) -> list[int]:
    """Ask for more than one worker can do, then for nothing; return the numbers of workers."""
    from distributed import get_client

    client: Client = get_client()
    first = len(workers(client))
    tasks = client.map(time.sleep, [1] * TASKS, pure=False)
    until(lambda: len(workers(client)), driver.patience, "two workers", wanted=lambda found: found == 2)  # noqa: PLR2004 -- as said
    client.cancel(tasks)
    return [first, len(workers(client))]
