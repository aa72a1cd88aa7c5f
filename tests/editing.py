"""What driver programs have in common that edit their code while their cluster runs."""

from __future__ import annotations

from contextlib import contextmanager
from textwrap import dedent

from tests.drivers import PRELUDE, drive

#: `edit` writes another version, `hidden` keeps the nodes from the driver's disk, `ask` imports on a node.
EDITING = (
    PRELUDE
    + """
import fcntl
from contextlib import contextmanager
from daskbridge.errors import *

def edit(version):
    (PROJECT / "helper.py").write_text(f"import os\\nV = {version}\\ndef version(*_):\\n    return V\\n")

@contextmanager
def hidden():
    os.rename(PROJECT, PROJECT.with_name("hidden"))
    try:
        yield
    finally:
        os.rename(PROJECT.with_name("hidden"), PROJECT)

def ask():
    import helper
    return helper.version()

def versions(cluster):
    with hidden():
        return sorted(cluster.client.run(ask).values()), cluster.client.run_on_scheduler(ask)

def pids(cluster):
    return sorted(cluster.client.run(os.getpid).values())

def workers(cluster):
    return cluster.client.run_on_scheduler(lambda dask_scheduler: sorted(dask_scheduler.workers))

def leased():
    # an exclusive lock says that nobody holds a lease
    held = []
    for file in (PROJECT.with_name("cache") / "v1" / "locks").glob("*.lease"):
        with file.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(file.stem)
    return held

def raised(call, *arguments, **keywords):
    try:
        return repr(call(*arguments, **keywords))
    except BaseException as error:
        return [type(error).__name__, str(error), *getattr(error, "__notes__", ())]

def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.01)

edit(1)
"""
)


@contextmanager
def program(directory, main, **environ):
    """Start ``main`` in a project that has a module ``helper``; it is ended with the block."""
    starting = drive(directory, prelude=EDITING, **environ)
    try:
        yield next(starting)(dedent(main))
    finally:
        list(starting)


def told_by(directory, main, **environ):
    """Return what ``main`` reports; it must end well, and say nothing on stderr."""
    with program(directory, main, **environ) as driver:
        told = {}
        for report in driver.reports():
            told |= report
        code, errors = driver.wait()
    assert (code, errors) == (0, ""), errors
    return told
