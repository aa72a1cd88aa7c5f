"""Tasks that the runner's tests submit; workers know this module from the bundle only."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import distributed
from prefect import get_run_logger, runtime, task


def mark(directory, name):
    """Leave a trace of having been here; return how many there are."""
    (Path(directory) / f"{name}-{os.getpid()}-{threading.get_ident()}-{time.time_ns()}").touch()
    return marks(directory, name)


def marks(directory, name):
    return len(list(Path(directory).glob(f"{name}-*")))


@task
def increment(x):
    return x + 1


@task
async def aincrement(x):
    return x + 1


@task
def add(x, y=0):
    return x + y


@task
def total(values):
    return sum(values["all"])


@task
def fail():
    raise ValueError("mine")


@task
def logged(word):
    get_run_logger().info("it says %s", word)
    return runtime.task_run.name, runtime.flow_run.name, str(runtime.task_run.id)


@task
def worker_pid():
    return os.getpid()


@task
def large(directory):
    mark(directory, "large")
    return os.getpid(), b"." * 1_000_000


@task(persist_result=True)
def stored(directory):
    mark(directory, "stored")
    return os.getpid(), b"." * 1_000_000


@task
def first(pair):
    return pair[0]


@task
def dies(directory):
    mark(directory, "dies")
    os._exit(1)


@task(retries=2)
def dies_twice(directory):
    if mark(directory, "twice") < 3:
        os._exit(1)
    return "lived"


@task(retries=2, retry_condition_fn=lambda *_: False)
def dies_unwanted(directory):
    mark(directory, "unwanted")
    os._exit(1)


@task
def marked(directory, name):
    mark(directory, name)
    return name


@task
def held(directory):
    """Say that it has begun, and stay."""
    mark(directory, "held")
    time.sleep(300)


@task
def begun(directory, name="held"):
    while not marks(directory, name):
        time.sleep(0.02)


@task
def names():
    return distributed.get_worker().name


@task
def parent(n):
    return sum(future.result() for future in increment.map(range(n)))


@task
async def aparent(n):
    return sum(future.result() for future in increment.map(range(n)))


@task
def inline(x):
    return increment(x)


@task
def numbers(n):
    yield from range(n)


@task
def kind(value):
    return type(value).__name__


_here = []


@task
def at_once(_):
    """Return how many of these are in this process now."""
    _here.append(None)
    try:
        time.sleep(0.05)
        return len(_here)
    finally:
        _here.pop()
