"""What a suite stages: driver programs, what is done to each from outside, and what they reported."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from daskbridge.testing._driver import GIVEN_UP
from daskbridge.testing._program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from daskbridge.testing._program import Observation
    from daskbridge.testing._suite import Suite

#: Programs of one suite that run at a time.
AT_A_TIME = 2
#: The program that shows whether a body gets a cluster at all, by what, and the test that says so.
FIRST, RESULT, ROOT = "life", "result", "test_a_body_gets_a_cluster_and_its_result_comes_back"


def to_the_end(program: Program, suite: Suite) -> None:
    """Let the program end by itself."""
    program.ends(4 * suite.patience)


@dataclass(frozen=True)
class Scenario:
    """Describe one driver program of a suite; tests get its :class:`Report` by a fixture of that name.

    ``program`` is ``module`` or ``module:function``, where the function, by default ``play``, takes a
    :class:`~daskbridge.testing._driver.Driver`. ``act`` waits for the program and does to it what is to be
    done. ``settings`` are further environment variables. ``reaches`` has what the program reports, in that
    order, where a test may say why it was not reached: after it the others are not looked at.
    """

    name: str
    program: str
    act: Callable[[Program, Suite], None] = to_the_end
    settings: Mapping[str, str] = field(default_factory=dict)
    reaches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Hold what one program reported, how it ended and what it left.

    ``killed`` is after how many seconds the kit ended it, where it did not end by itself in time.
    """

    name: str
    observations: Mapping[str, Observation]
    code: int | None
    output: str
    left: list[str]
    stage: Stage
    killed: float | None = None
    reaches: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> Any:  # noqa: ANN401 -- what JSON can hold
        """Return what was observed under a name; fail with its error.

        What was not reached is a skip that names the test which says why, or else a failure.
        """
        found = self.observations.get(name)
        if found is None:
            first = next((each for each in self.reaches if each not in self.observations), name)
            cause = self.stage.cause() if first == name else self.reaches[first]
            if cause is not None and (self.name, name) != (FIRST, RESULT):
                pytest.skip(f"not reached: {cause} says why")
            pytest.fail(f"program {self.name!r} {self._short_of(name)}", pytrace=False)
        if found.error is not None:
            pytest.fail(f"program {self.name!r}, {name}:\n{found.error}", pytrace=False)
        return found.value

    def of_other(self, name: str) -> Report:
        """Return the report of another program of the suite."""
        return self.stage.report(name)

    @property
    def end(self) -> str:
        """Say how the program ended and what it printed."""
        how = f"its exit code: {self.code}"
        if self.killed is not None:
            how = f"it was killed after {self.killed:.0f} s"
        elif (given_up := self.observations.get(GIVEN_UP)) is not None:
            how = f"{given_up.value}; so it was ended"
        return f"{how}; it printed:\n{self.output}"

    def _short_of(self, name: str) -> str:
        if self.killed is None:
            return f"ended before {name!r}; {self.end}"
        *_, last = "nothing", *self.observations
        return (
            f"had not come to {name!r} after {self.killed:.0f} s and was killed; the last that it reported:"
            f" {last!r}; it printed:\n{self.output}"
        )


class Stage:
    """Run the programs that a suite's tests ask for, some at a time, each once."""

    def __init__(self, suite: Suite, directory: Path, needed: Iterable[str]) -> None:
        self._suite = suite
        self._directory = directory
        self._scenarios = {scenario.name: scenario for scenario in suite.scenarios()}
        self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="daskbridge-testing")
        self._reports: dict[str, Future[Report]] = {}
        self._running: set[Program] = set()
        for name in needed:
            self._begin(name)

    def report(self, name: str) -> Report:
        """Return a program's report, as soon as it is there."""
        return self._begin(name).result()

    def close(self) -> None:
        """Start nothing more, and end what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for program in tuple(self._running):
            program.close()
        self._pool.shutdown()

    def _begin(self, name: str) -> Future[Report]:
        if name not in self._reports:
            self._reports[name] = self._pool.submit(self._perform, self._scenarios[name])
        return self._reports[name]

    def _perform(self, scenario: Scenario) -> Report:
        suite, directory = self._suite, self._directory / scenario.name
        surroundings = directory / "surroundings"
        surroundings.mkdir(parents=True)
        with ExitStack() as stack:
            environ = stack.enter_context(suite.surroundings(surroundings))
            order = {**suite.order(), "program": scenario.program}
            environ = {**suite.settings(), **scenario.settings, **environ}
            program = Program(scenario.name, directory, order, environ)
            stack.callback(program.close)
            self._running.add(program)
            stack.callback(self._running.discard, program)
            program.start()
            began, killed, failure = time.monotonic(), None, ""
            try:
                scenario.act(program, suite)
            except TimeoutError as error:
                killed, failure = time.monotonic() - began, f"{error}\n"
                program.process.send_signal(signal.SIGKILL)
            code = program.ends(suite.patience)
            left, output = program.left(suite.settles), failure + program.output
            seen, reaches = program.observations, scenario.reaches
            return Report(scenario.name, seen, code, output, left, self, killed, reaches)

    def cause(self) -> str | None:
        """Return the name of the test that says why no body gets a cluster, if none does."""
        found = self.report(FIRST).observations.get(RESULT)
        return ROOT if found is None or found.error is not None else None
