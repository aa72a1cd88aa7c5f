"""Kill an install, an upload or a build at each of its steps, and look at what is left.

A step is a line of the package or a call that changes files. Each time a fork does the work up
to that step, this process looks at what it left, and the same work is done once more.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import daskbridge.code
from daskbridge.code import CodeSpec, build_bundle, publish
from daskbridge.node import unpack
from daskbridge.node.install import HostCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = os.path.dirname(daskbridge.code.__path__[0]) + os.sep  # noqa: PTH120 -- compared with names of code
FILES = {"a.py": "V = 1\n", "package/__init__.py": "", "package/b.py": "V = 22\n", "run.sh": "true\n"}
OTHER = {"a.py": "V = 2\n", "gone.py": "V = 3\n", "package/c.py": "V = 4\n"}


def killed_at_each_step(work: Callable[[], object], every: int = 1) -> Iterator[int]:
    """Yield after each kill; end when the work was done before its step came."""
    for step in count(1, every):
        if not (pid := os.fork()):
            try:
                die_at(step)
                work()
            except BaseException:  # noqa: BLE001 -- whatever it is ends this fork with 1
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not status:
            return
        assert os.WIFSIGNALED(status), f"step {step} failed"
        yield step


def die_at(step: int) -> None:
    left = step

    def one_more() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, _: object) -> None:
        if event == "open" or event.startswith(("os.", "fcntl.", "shutil.")):
            one_more()

    def trace(frame, event, _):
        if event == "call":
            return trace if frame.f_code.co_filename.startswith(PACKAGE) else None
        if event == "line":
            one_more()
        return trace

    sys.addaudithook(hook)
    threading.settrace(trace)
    sys.settrace(trace)


def bundle_of(files: dict[str, str], directory: Path):
    root = directory / "project"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return build_bundle(CodeSpec([root]), directory=directory)


@cache
def another():
    return bundle_of({"x.py": ""}, Path(tempfile.mkdtemp()))


def content(tree: str) -> dict[str, str]:
    """Read all but byte code, which whoever imports puts there."""
    files = [file for file in Path(tree).rglob("*") if file.is_file() and file.parent.name != "__pycache__"]
    return {str(file.relative_to(tree)): file.read_text() for file in files}


def nothing():
    raise AssertionError("a source was asked for what is there")


def install(cache: str, bundle, limit: int = 4 << 30):
    return HostCache(cache, limit).install(
        bundle.reference, [("test", lambda: [bundle.archive.read_bytes()])]
    )


def whole_or_absent(cache: HostCache, bundle, files: dict[str, str]) -> bool:
    tree = cache.find(bundle.reference)
    if tree is None:
        return False
    assert content(tree) == files
    os.close(cache.install(bundle.reference, [("test", nothing)]).lease)
    return True


def an_install(place: Path) -> int:
    """Kill an install into an empty cache."""
    bundle = bundle_of(FILES, place)
    steps = 0
    where = str(place / "cache")
    for steps in killed_at_each_step(lambda: install(where, bundle)):  # noqa: B007 -- the last one counts
        if Path(where, "v1/staging").exists():
            cache = HostCache(where)
            visible = {entry.name for entry in Path(cache.home).iterdir()} - {"locks", "staging"}
            assert visible <= {bundle.digest}
            assert whole_or_absent(cache, bundle, FILES) == bool(visible)
        again(where, bundle)
        shutil.rmtree(where)
    return steps


def an_exchange(place: Path) -> int:
    """Kill an install that takes the place of a tree whose manifest was damaged."""
    bundle = bundle_of(FILES, place)
    steps = 0
    where = str(place / "cache")

    def damage() -> None:
        os.close(install(where, bundle).lease)
        Path(where, "v1", bundle.digest, "manifest").write_text("{}")

    damage()
    for steps in killed_at_each_step(lambda: install(where, bundle)):  # noqa: B007 -- as above
        whole_or_absent(HostCache(where), bundle, FILES)
        again(where, bundle)
        damage()
    return steps


def a_collection(place: Path) -> int:
    """Kill an install that takes another tree away because the cache is full."""
    one, other = bundle_of(FILES, place / "one"), bundle_of(OTHER, place / "other")
    steps = 0
    where, limit = str(place / "cache"), one.bytes + other.bytes - 1
    os.close(install(where, other).lease)

    def work() -> None:
        os.scandir = backwards  # a file system may list in any order: here "tree" before "manifest"
        install(where, one, limit)

    for steps in killed_at_each_step(work):  # noqa: B007 -- as above
        cache = HostCache(where)
        whole_or_absent(cache, other, OTHER)
        whole_or_absent(cache, one, FILES)
        again(where, one)
        shutil.rmtree(where)
        os.close(install(where, other).lease)
    return steps


class backwards(list):  # noqa: N801 -- in the place of a function
    """List a directory in the other order."""

    def __init__(self, path, scan=os.scandir):
        with scan(path) as entries:
            super().__init__(sorted(entries, key=lambda entry: entry.name, reverse=True))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def again(where: str, bundle) -> None:
    """Install what was cut short, and see that the next new tree finds nothing to clean up."""
    installed = install(where, bundle)
    assert content(installed.tree) == FILES
    os.close(installed.lease)
    cache = HostCache(where)
    os.close(install(where, another()).lease)
    assert not any(Path(cache.home, "staging").iterdir())


def an_upload(place: Path) -> int:
    """Kill the driver while it uploads to a store."""
    bundle = bundle_of(FILES, place)
    steps = 0
    store = place / "store"
    target = store / f"{bundle.digest}.{bundle.format}"
    for steps in killed_at_each_step(lambda: publish(bundle, f"file://{store}")):  # noqa: B007 -- as above
        if target.exists():
            assert target.read_bytes() == bundle.archive.read_bytes()
        assert publish(bundle, f"file://{store}").url == f"file://{target}"
        assert target.read_bytes() == bundle.archive.read_bytes()
        shutil.rmtree(store)
    return steps


def a_build(place: Path) -> int:
    """Kill the driver while it packs."""
    digest = bundle_of(FILES, place).digest
    spec = CodeSpec([place / "project"])
    steps = 0
    for steps in killed_at_each_step(lambda: build_bundle(spec).close(), every=5):  # noqa: B007 -- as above
        with build_bundle(spec) as bundle:
            assert bundle.digest == digest
            unpack.unpack([bundle.archive.read_bytes()], str(place / "tree"), bundle.reference)
        assert content(str(place / "tree")) == FILES
        shutil.rmtree(place / "tree")
    return steps


if __name__ == "__main__":
    where = Path(sys.argv[2])
    where.mkdir(exist_ok=True)
    sys.stdout.write(str(globals()[sys.argv[1]](where)))
