"""Drivers that come to harm, and what is left of them: each case says within how many seconds nothing is."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.drivers import PRELUDE, Driver, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VARIABLE = "DASKBRIDGE_FAULTS"
#: `at` reports when a stage of the run is reached; `left` is what differs from the beginning of the program.
FAULTS = (
    PRELUDE
    + """
import asyncio, copy, ctypes, gc, signal, tempfile, traceback
import cloudpickle, dask.config, distributed
from daskbridge.errors import *
from daskbridge.runtime import _connection
from distributed import get_worker

def zygotes():
    return [child for child in psutil.Process().children() if "local_zygote" in " ".join(child.cmdline())]

def ports():
    return [[each.laddr.port, process.pid] for process in [psutil.Process(), *psutil.Process().children(True)]
            for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]

def state():
    gc.collect()
    config = copy.deepcopy(dask.config.config)
    del config["distributed"]["scheduler"]["http"]["routes"]
    return {
        "config": repr(config),
        "by value": sorted(cloudpickle.list_registry_pickle_by_value()),
        "threads": sorted(each.name for each in threading.enumerate() if each.name != "daskbridge-local"),
        "nodes": nodes(),
        "ports": ports(),
        "temporary": sorted(os.listdir(tempfile.gettempdir())),
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)],
    }

def left():
    now, until = state(), time.monotonic() + 5
    while now["threads"] != before["threads"] and time.monotonic() < until:
        time.sleep(0.05)  # a call that was given up goes on in its thread for a moment
        now = state()
    return {name: now[name] for name in now if now[name] != before[name]}

def at(stage):
    # the driver holds the stage, so that what happens to it then does not come too late
    def look(there):
        while not there():
            time.sleep(0.002)
        report(stage=stage, pids=everything())
    if stage == "warming":
        threading.Thread(target=look, args=(zygotes,), daemon=True).start()
    elif stage == "connecting":
        async def held(self, timeout):
            report(stage=stage, pids=everything())
            await asyncio.sleep(60)
        _connection.Connection.open = held

def busy(cluster):
    # tasks run on every worker, and nobody can interrupt them
    return [cluster.client.submit(time.sleep, 600, workers=[address], pure=False)
            for address in cluster.client.scheduler_info(n_workers=-1)["workers"]]

def running(cluster):
    while sum(map(len, cluster.client.processing().values())) < len(cluster.client.processing()):
        time.sleep(0.01)

topology = Dask(workers=WorkerGroup(2, threads=1), min_workers=2)
before = state()
"""
)


class Scene:
    """One driver with its processes, which a mark in their environment tells from all others."""

    def __init__(self, start: Callable[..., Driver], temporary: Path, mark: str) -> None:
        self._start = start
        self._mark = f"{VARIABLE}={mark}".encode()
        self._driver: Driver
        self.temporary = temporary

    def play(self, main: str, **files: str) -> Scene:
        """Start the driver."""
        self._driver = self._start(main, **files)
        self._reports = self._driver.reports()
        return self

    @property
    def process(self) -> Any:
        return self._driver.process

    def told(self) -> dict[str, Any]:
        """Return the driver's next report."""
        try:
            return next(self._reports)
        except StopIteration:
            pytest.fail(f"no report; its errors:\n{self._driver.errors.read_text()}")

    def ends(self) -> tuple[int, str]:
        """Wait for the driver's end; return its exit code and what it wrote to stderr."""
        assert list(self._reports) == []
        return self._driver.wait()

    def there(self) -> list[psutil.Process]:
        """List the processes that are left; a zombie that waits for somebody else is none."""
        found = []
        for process in psutil.process_iter():
            try:
                with open(f"/proc/{process.pid}/environ", "rb") as environ:  # noqa: PTH123 -- not a file to keep
                    marked = self._mark in environ.read().split(b"\0")
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (OSError, psutil.NoSuchProcess):
                continue
        return found

    def go_on(self) -> None:
        """Let the driver go on that waits for a line."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def wait_until(self, fulfilled: Callable[[list[psutil.Process]], bool], *, within: float) -> None:
        """Wait until what is there fulfils a condition."""
        began = time.monotonic()
        while not fulfilled(self.there()):
            assert time.monotonic() - began < within, self.there()
            time.sleep(0.02)

    @contextmanager
    def leaves_nothing(self, *, within: float) -> Iterator[None]:
        """Do the harm, then wait until no process, socket or file is left, for so many seconds at most."""
        began = time.monotonic()
        yield
        while there := self.there():
            if time.monotonic() - began > within:
                said = "\n".join(f"{each.pid} {each.status()} {each.cmdline()}" for each in there)
                pytest.fail(f"after {within} s there are still:\n{said}\n{self._driver.errors.read_text()}")
            time.sleep(0.02)
        assert sorted(path.name for path in self.temporary.iterdir()) == []


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Give a driver that has a temporary directory of its own."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    mark = uuid.uuid4().hex
    with_environment = {VARIABLE: mark, "TMPDIR": str(temporary)}
    found = None
    for start in drive(tmp_path, prelude=FAULTS, **with_environment):
        found = Scene(start, temporary, mark)
        yield found
    for process in found.there():
        process.kill()


@pytest.fixture
def gone_at_last():
    """End a process when the test is over."""
    pids = []
    yield pids.append
    for pid in pids:
        psutil.Process(pid).kill()


@pytest.fixture
def terms(monkeypatch):
    """Set daskbridge's settings for the driver: ``terms(lease_stale=1)``."""

    def chosen(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"DASK_DASKBRIDGE__{name.upper()}", str(value))

    return chosen


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if what is done takes longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
