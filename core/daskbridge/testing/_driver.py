"""What runs in a driver program: it has a cluster as a user has one, looks at it, and reports."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daskbridge.testing import _recorder
from daskbridge.testing._calls import Calls
from daskbridge.testing._left import MARK, left
from daskbridge.testing._project import Project
from daskbridge.testing._until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from daskbridge.runtime import Cluster
    from daskbridge.topology import Dask


#: Under which name a program says why it gives up at once, and what.
GIVEN_UP = "given up"
AGAIN = "run_body ran its body again after it failed: it must try once (run_retried is for the other)"
#: How often a body may be called, by the method of an adapter's suite that runs it.
TIMES = {"run_body": 1, "run_retried": 2}


class Driver:
    """Be at the hand of what a driver program does, one of the modules in ``_programs`` or an adapter's.

    ``order`` is what the test's process says: a mapping that JSON can hold.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.order = order
        self.project = Project(**order["project"])
        self.lacks: frozenset[str] = frozenset(order["lacks"])
        self.patience: float = order["patience"]
        #: The target's, by name: which fields of a topology it honours.
        self.capabilities: frozenset[str] = frozenset(order["capabilities"])
        #: The cluster of the block, where the body is run by ``transient``.
        self.cluster: Cluster | None = None
        #: What was reported up to now.
        self.told: dict[str, Any] = {}
        self._reports = Path(order["reports"])
        self._loading = threading.Lock()
        self._calls = Calls(self._give_up)

    @property
    def entry(self) -> ModuleType:
        """Return the project's entry module, imported once."""
        return importlib.import_module(self.project.entry)

    @property
    def heard(self) -> list[_recorder.Heard]:
        """Return the steps that the plugins of this process were told, in order."""
        return _recorder.HEARD

    def listen(self, listener: Callable[[_recorder.Heard], object]) -> None:
        """Have every step told as it happens, on the core's loop thread."""
        _recorder.LISTENERS.append(listener)

    def report(self, name: str, value: object = None) -> None:
        """Tell the test's process something that JSON can hold."""
        self.told[name] = value
        self._write({"name": name, "value": value})

    def observe(self, name: str, look: Callable[[], object]) -> Any:  # noqa: ANN401 -- what was seen
        """Report what ``look()`` returns, or the error in which it ends: then return None and go on."""
        try:
            value = look()
            self.report(name, value)
        except Exception:  # noqa: BLE001 -- reported
            self._write({"name": name, "error": traceback.format_exc()})
            return None
        return value

    def topology(self, topology: Dask) -> Dask:
        """Return a topology as the suite wants it: with its options and its patience."""
        options = self.order["options"]
        return replace(topology, start_timeout=self.patience, provisioner_options=options)

    def run(
        self,
        topology: Any,  # noqa: ANN401 -- a Dask, or for adapters a mapping
        watched: Callable[[], object] | str | None,
        *,
        body: str = "body",
        way: str = "run_body",
        **options: Any,  # noqa: ANN401 -- transient's own
    ) -> Any:  # noqa: ANN401 -- what the body returns
        """Run a body of the entry module with a cluster; return what JSON makes of its result.

        ``watched`` is what the body does, the name of another function of the entry module, or None where
        what the body does is set already; ``body`` is then the function that does it. ``way`` is the method
        of an adapter's suite that runs it. ``options`` are those of :func:`~daskbridge.transient`, for suites
        of provisioners only.
        """
        function = getattr(self.entry, watched if isinstance(watched, str) else body)
        if callable(watched):
            vars(self.entry)["watched"] = watched
        vars(self.entry)["call"] = self._calls.call
        try:
            with self._calls.run(TIMES[way]):
                if "suite" in self.order:
                    answer = self._as_task(topology, function, way)
                else:
                    answer = self._transient(topology, function, options)
        finally:
            self.show()
        return json.loads(answer)

    @property
    def suite(self) -> Any:  # noqa: ANN401 -- a class of the author's
        """Return an object of the author's class, loaded from its file."""
        file, *names = self.order["suite"]
        with self._loading:
            found: Any = sys.modules.get("_daskbridge_testing_suite")
            if found is None:
                spec = importlib.util.spec_from_file_location("_daskbridge_testing_suite", file)
                assert spec is not None
                assert spec.loader is not None
                found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(found)
        for name in names:
            found = getattr(found, name)
        return found()

    def prepare(self) -> None:
        """Run a task without a cluster, where the author of an adapter says how."""
        if "suite" in self.order:
            self.suite.prepare()

    def hide(self) -> None:
        """Rename the project away, so that only what was shipped can be imported on this machine."""
        with_other_name = Path(self.project.directory)
        if with_other_name.exists():
            with_other_name.rename(self._hidden)

    def show(self) -> None:
        """Undo :meth:`hide`."""
        if self._hidden.exists():
            self._hidden.rename(self.project.directory)

    def left(self, cluster: list[list[Any]] | None = None) -> list[str]:
        """Say what is still there of this program's processes and of a cluster, once that has settled.

        ``cluster`` is what the programs' ``who()`` returned.
        """
        nodes, addresses = cluster or [[], []]

        def look() -> list[str]:
            found = self._there(nodes, addresses)
            return [words for words in found if words not in self._before]

        try:
            return until(look, self.order["settles"], "the end of all", wanted=lambda found: not found)
        except TimeoutError:
            return look()

    @contextmanager
    def other_provisioner(self, name: str) -> Iterator[None]:
        """Have the runs of a ``with`` block that name no provisioner take this one of the kit's."""
        import dask.config

        with dask.config.set({"daskbridge.provisioner": name}):
            yield

    @property
    def _hidden(self) -> Path:
        return Path(f"{self.project.directory}-hidden")

    def _as_task(self, topology: Any, function: Callable[[], Any], way: str) -> str:  # noqa: ANN401 -- as above
        suite = self.suite
        try:
            answer: object = getattr(suite, way)(topology, function)
        except Exception as error:
            found = suite.user_error(error)
            if found is None or found is error:
                raise
            raise found from error
        if not isinstance(answer, str):
            raise TypeError(f"{way} returned {answer!r}; it must return what body() returns")
        return answer

    def _transient(self, topology: Dask, body: Callable[[], str], options: Mapping[str, Any]) -> str:
        from daskbridge.runtime import transient

        chosen = {"provisioner": self.order["provisioner"], "code": self.project.directory, **options}
        with ExitStack() as stack:
            self.cluster = stack.enter_context(transient(topology, **chosen))
            stack.callback(self._forget)
            return body()

    def _give_up(self) -> None:
        """End this program at once: an orchestrator that tries again for ever may catch any error."""
        self.report(GIVEN_UP, AGAIN)
        os.kill(os.getpid(), signal.SIGKILL)

    def _forget(self) -> None:
        self.cluster = None

    def begin(self) -> None:
        """Take what is there now for what belongs to the program."""
        self._before = self._there([], [])

    def _there(self, nodes: list[Any], addresses: list[Any]) -> list[str]:
        temporary = Path(tempfile.gettempdir())
        return left(os.environ[MARK], nodes, addresses, temporary, self.order["leaves"])

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._reports.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def main(file: str) -> None:
    """Do what the order in ``file`` says; an error ends the program with its traceback."""
    order = json.loads(Path(file).read_text("utf-8"))
    sys.path[:0] = [order["project"]["directory"]]
    sys.path += [entry for entry in order["path"] if entry not in sys.path]
    driver = Driver(order)
    driver.begin()
    module, _, function = order["program"].partition(":")
    getattr(importlib.import_module(module), function or "play")(driver)
    driver.report("end")
