"""The worked examples and the template for adapters, installed as strangers install them, pass the kit."""

from __future__ import annotations

import re
import shutil

import pytest
from tests.third_party.distributions import ROOT, call

EXAMPLES = ROOT / "examples" / "third_party"
#: What each may lack, in words of the skip.
LACKS = {
    "command": ["the capability 'adaptive'"],
    "temporal": ["lacks 'run_retried'", "lacks 'published'", "lacks 'logged'"],
    "acme": [],
}
#: Seconds for all programs of a suite.
LONG = 570

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["command", "temporal"])
def example(request, environment):
    """Install one example; give its directory and the programs of its environment."""
    return EXAMPLES / request.param, environment(EXAMPLES / request.param)


@pytest.fixture(scope="module")
def adapter(environment, tmp_path_factory):
    """Copy the template by the commands that the page has for that, and install what came of it."""
    place = tmp_path_factory.mktemp("template")
    shutil.copytree(ROOT / "adapters" / "_template", place / "adapters" / "_template")
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    copy, rename = re.findall(r"^    ((?:cp -R adapters/_template|find \.) .+)$", page, re.MULTILINE)
    call("sh", "-ec", f"{copy}\n{rename}", cwd=place)
    return place / "adapters" / "acme", environment(place / "adapters" / "acme")


def conforms(name, tests, programs, tmp_path):
    """Run the author's own tests, that of conformance among them, where the source is not."""
    for test in tests.glob("test_*.py"):
        shutil.copy(test, tmp_path)
    assert (tmp_path / "test_conformance.py").exists()
    told = call(
        programs / "python", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", cwd=tmp_path, timeout=LONG
    )
    skips = re.findall(r"^SKIPPED .*$", told, re.MULTILINE)
    assert re.search(r"\d\d passed", told), told
    assert [skip for skip in skips if not any(words in skip for words in LACKS[name])] == []


def test_an_example_passes_the_kit(example, tmp_path):
    directory, programs = example
    conforms(directory.name, directory, programs, tmp_path)


def test_the_program_of_an_example_runs(example, tmp_path):
    directory, programs = example
    shutil.copy(directory / "example.py", tmp_path)
    assert call(programs / "python", "example.py", cwd=tmp_path, timeout=60) == "[0, 1, 4, 9, 16]\n"


def test_an_example_is_listed_as_active(example):
    directory, programs = example
    told = call(programs / "daskbridge", "plugins")
    (line,) = [line for line in told.splitlines() if f"daskbridge-{directory.name} " in line]
    assert "active" in line, told


def test_nothing_in_a_copy_of_the_template_has_its_placeholder(adapter):
    directory, _ = adapter
    files = [path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 8
    assert [path for path in files if "NAME" in path.name or "NAME" in path.read_text("utf-8")] == []


def test_a_copy_of_the_template_passes_the_kit(adapter, tmp_path):
    directory, programs = adapter
    conforms(directory.name, directory / "tests", programs, tmp_path)
