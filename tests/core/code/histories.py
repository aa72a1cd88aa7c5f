"""Live through random histories of a project and its host cache; a fresh interpreter looks after each step.

    python histories.py DIRECTORY FIRST COUNT

The history of each seed edits, adds, removes, moves and takes back modules, and installs what came
of it: alone, against others, after installs that were killed, over trees that were damaged, in a
cache that is too small.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.core.code.kill_steps import content, die_at

from daskbridge.code import CodeSpec, build_bundle
from daskbridge.node.activate import activate, deactivate, import_paths
from daskbridge.node.install import HostCache

#: Each module may be a file or a package, and each package may be there without its __init__.py.
FILES = ("a.py", "b.py", "b/__init__.py", "b/inner.py", "c/__init__.py", "c/one.py", "c/deep/two.py")
NAMES = ("a", "b", "b.inner", "c", "c.one", "c.deep", "c.deep.two")

#: Forks one child per line, so that each probe is a process which has imported nothing of a project.
PROBE = """
import importlib, json, os, sys
assert not sys.dont_write_bytecode
for line in sys.stdin:
    paths, names = json.loads(line)
    if not os.fork():
        sys.path[:0] = paths
        told = {}
        for name in names:
            try:
                told[name] = getattr(importlib.import_module(name), "V", None)
            except ModuleNotFoundError:
                pass
        print(json.dumps(told), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@dataclass
class Version:
    """Remember what a version is, and its archive."""

    reference: Any
    archive: bytes
    files: dict[str, str]

    @property
    def modules(self) -> dict[str, int | None]:
        """Say what an interpreter finds: a package wins over a module, and needs no __init__.py."""
        found: dict[str, int | None] = {}
        for name in NAMES:
            path = name.replace(".", "/")
            text = self.files.get(f"{path}/__init__.py", self.files.get(f"{path}.py"))
            above = name.rpartition(".")[0]
            if above and not any(file.startswith(above.replace(".", "/") + "/") for file in self.files):
                continue
            if above and f"{above}/__init__.py" not in self.files and f"{above}.py" in self.files:
                continue  # a module wins over a directory without __init__.py
            if text is not None:
                found[name] = int(text.split()[2])
            elif any(file.startswith(f"{path}/") for file in self.files):
                found[name] = None
        return found


@dataclass
class History:
    """Hold one project, its versions so far and the cache of its host."""

    place: Path
    random: random.Random
    probe: subprocess.Popen[str]
    versions: list[Version] = field(default_factory=list)
    project: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def cache(self) -> HostCache:
        """Open the cache; at times it has room for about two trees."""
        return HostCache(str(self.place / "cache"), self.random.choice([4 << 30, 100]))

    def step(self) -> None:
        """Make a version, install it in some way, and look."""
        wanted = self._wanted()
        self.random.choice([self._alone, self._alone, self._crowd, self._kill, self._damage])(wanted)
        installed = self._install(wanted)
        try:
            found = content(installed.tree)
            assert found == wanted.files, found
            self._look(wanted, installed)
        finally:
            os.close(installed.lease)
        if self.random.random() < 0.2:
            self._exchange(wanted)

    def _wanted(self) -> Version:
        if len(self.versions) > 1 and self.random.random() < 0.3:
            self.told.append("roll back")
            wanted = self.random.choice(self.versions[:-1])
            self.project = dict(wanted.files)
            return wanted
        self._edit()
        root = self.place / "project"
        shutil.rmtree(root, ignore_errors=True)
        for path, text in self.project.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        with build_bundle(CodeSpec([root])) as bundle:
            made = Version(bundle.reference, bundle.archive.read_bytes(), dict(self.project))
        self.versions.append(made)
        return made

    def _edit(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            path = self.random.choice(FILES)
            if path in self.project and self.random.random() < 0.3:
                self.told.append(f"remove {path}")
                del self.project[path]
            else:
                self.told.append(f"edit {path}")
                space = " " * self.random.choice([1, 1, 1, 2])  # most edits keep the size
                self.project[path] = f"V ={space}{self.random.randint(1000, 9999)}\n"
        if not self.project:
            self.project["a.py"] = "V = 1000\n"

    def _install(self, version: Version):
        return self.cache.install(version.reference, [("test", lambda: [version.archive])])

    def _alone(self, _: Version) -> None:
        self.told.append("install")

    def _crowd(self, wanted: Version) -> None:
        others = [wanted, wanted, self.random.choice(self.versions)]
        self.told.append("install against others")
        started = [_forked(lambda version=version: self._install(version)) for version in others]
        statuses = [os.waitpid(pid, 0)[1] for pid in started]
        assert statuses == [0] * len(others), statuses

    def _kill(self, wanted: Version) -> None:
        step = self.random.randint(1, 500)
        self.told.append(f"kill at step {step}")

        def work() -> None:
            die_at(step)
            self._install(wanted)

        _, status = os.waitpid(_forked(work), 0)
        assert status in (0, signal.SIGKILL), status

    def _damage(self, wanted: Version) -> None:
        os.close(self._install(wanted).lease)
        home = Path(self.cache.path(wanted.reference["digest"]))
        victim = self.random.choice([home / "manifest", home / "tree" / self.random.choice([*wanted.files])])
        self.told.append(f"damage {victim.name}")
        with suppress(FileNotFoundError):
            seen = victim.read_text()
            victim.unlink()
            if self.random.random() < 0.5:
                victim.write_text(seen[::-1])

    def _look(self, wanted: Version, installed) -> None:
        paths = import_paths(wanted.reference, installed.tree)
        assert self.probe.stdin
        assert self.probe.stdout
        self.probe.stdin.write(json.dumps([paths, NAMES]) + "\n")
        self.probe.stdin.flush()
        found = json.loads(self.probe.stdout.readline())
        assert found == wanted.modules, (found, wanted.modules)

    def _exchange(self, wanted: Version) -> None:
        """Let one process import one version after the other."""
        self.told.append("exchange in one process")

        def work() -> None:
            for version in (self.random.choice(self.versions), wanted):
                installed = self._install(version)
                activate(version.reference, installed)
                found = {}
                for name in NAMES:
                    with suppress(ModuleNotFoundError):
                        found[name] = getattr(__import__(name, fromlist=["V"]), "V", None)
                deactivate(installed)
                assert found == version.modules, (found, version.modules)

        assert os.waitpid(_forked(work), 0)[1] == 0


def _forked(work) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001 -- told, and counted by the caller
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def main(place: Path, first: int, count: int) -> None:
    """Print how many steps there were, or the seed of the history that failed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    steps = 0
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", PROBE], **pipes) as probe:
        for seed in range(first, first + count):
            chance = random.Random(seed)  # noqa: S311 -- it must be the same each time
            history = History(place / str(seed), chance, probe)
            history.place.mkdir()
            os.environ["XDG_CACHE_HOME"] = str(history.place / "user")  # where packed archives are kept
            try:
                for _ in range(chance.randint(1, 5)):
                    history.step()
                    steps += 1
            except BaseException:
                sys.stderr.write(f"seed {seed}: {history.told}\n")
                raise
            shutil.rmtree(history.place)
    sys.stdout.write(f"{steps}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
