"""The pages about Flyte are true: their code and commands run."""

from __future__ import annotations

import re

import flyte
import pytest
from daskbridge_flyte import Dask, Resources, WorkerGroup
from tests.pages import DOCUMENTS, ROOT, run, script, write_files

from daskbridge.cluster import ClusterRef

from .reader import missing, shown

PAGES = [page for page in DOCUMENTS if script(page.read_text("utf-8"), "flyte").strip()]
CONSOLE = re.compile(r"(?ms)^```console\n\$ (?P<command>flyte [^\n]+)\n(?P<output>.*?)^```$")
INDENTED = re.compile(r"(?m)^    (?P<command>flyte run --local [^#\n]+)")


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request, tmp_path):
    """Give a page's text; the files that it shows are written."""
    text = request.param.read_text("utf-8")
    write_files(text, tmp_path, "flyte")
    return text


def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path):
    path = tmp_path / "page.py"
    path.write_text(script(page, "flyte"))

    run(path, tmp_path, seconds=100)


def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path):
    commands = [(found["command"], found["output"]) for found in CONSOLE.finditer(page)]
    commands += [(found["command"], "Completed Local Run") for found in INDENTED.finditer(page)]
    for command, expected in commands:
        printed = shown(command, tmp_path)
        assert not missing(expected, printed), printed


def test_the_file_for_a_script_is_a_topology(tmp_path):
    page = (ROOT / "docs/how-to/flyte.md").read_text("utf-8")
    (tmp_path / "plugin.yaml").write_text(page.partition("```yaml\n# plugin.yaml\n")[2].partition("```")[0])

    workers = WorkerGroup(number_of_workers=2, resources=Resources(cpu=2, memory="4Gi"))
    assert flyte.load_plugin_config(tmp_path / "plugin.yaml") == Dask(workers=workers, min_workers=2)


def test_the_line_about_the_dashboard_is_the_one_that_is_logged():
    page = (ROOT / "docs/how-to/flyte.md").read_text("utf-8")
    host = "a1-scheduler.jobs.svc.cluster.local"
    ref = ClusterRef("flyte", "a1", f"tcp://{host}:8786", f"http://{host}:8787/status")

    assert f"    {ref.dashboard}\n" in page
