"""Run a suite of the kit in a pytest of its own, with plugins that only it has; tell what came of it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from daskbridge import testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

#: Leaves the tests of some programs: what a test asserts on is the name of one of its fixtures.
CONFTEST = """
PROGRAMS = {programs!r}


def pytest_collection_modifyitems(items):
    if PROGRAMS:
        items[:] = [item for item in items if PROGRAMS & set(item.fixturenames)]
"""
#: Seconds for one suite.
BOUND = 300


@dataclass(frozen=True)
class Outcome:
    """Hold the outcome of each test of a suite by its name, with what was said of it."""

    passed: set[str]
    failed: dict[str, str]
    skipped: dict[str, str]
    output: str


def run(
    directory: Path, suite: str, plugins: Mapping[str, str], *, only: Iterable[str] = (), **environ: str
) -> Outcome:
    """Run a test file with plugins, each the source of a module; ``only`` the tests of some programs."""
    site, tests = directory / "site", directory / "tests"
    for place in (site, tests):
        place.mkdir()
    for name, source in plugins.items():
        install(site, name, source)
    (tests / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", "utf-8")
    (tests / "conftest.py").write_text(CONFTEST.format(programs=set(only)), "utf-8")
    (tests / "test_suite.py").write_text(dedent(suite), "utf-8")
    report = directory / "report.xml"
    options = ["-p", "no:cacheprovider", "--import-mode=importlib", "--junit-xml", str(report)]
    options += ["--basetemp", str(directory / "temporary")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_suite.py"],
        cwd=tests,
        env={**os.environ, "PYTHONPATH": str(site), **environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=BOUND,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    outcome = Outcome(set(), {}, {}, done.stdout)
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 -- our own
        name = case.attrib["name"]
        if (found := case.find("failure")) is not None or (found := case.find("error")) is not None:
            outcome.failed[name] = found.text or ""
        elif (found := case.find("skipped")) is not None:
            outcome.skipped[name] = found.attrib["message"]
        else:
            outcome.passed.add(name)
    return outcome


def every_test() -> dict[str, Callable[..., None]]:
    """Return the tests of the kit's suites by their names."""
    suites = [getattr(testing, name) for name in testing.__all__]
    found = [each for suite in suites for each in inspect.getmembers(suite, inspect.isfunction)]
    return {name: function for name, function in found if name.startswith("test_")}


def install(site: Path, name: str, source: str) -> None:
    """Install a distribution with one plugin, as an installer leaves it."""
    module = f"{name.replace('-', '_')}_plugin"
    (site / f"{module}.py").write_text(dedent(source), "utf-8")
    info = site / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[daskbridge]\n{name} = {module}\n", "utf-8")
