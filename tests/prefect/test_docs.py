"""The pages about Prefect are true: their code runs."""

from __future__ import annotations

import pytest
from tests.pages import DOCUMENTS, ROOT, run, script, write_files

PAGES = [page for page in DOCUMENTS if script(page.read_text("utf-8"), "prefect").strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, server, monkeypatch):
    text = page.read_text("utf-8")
    write_files(text, tmp_path, "prefect")
    path = tmp_path / "page.py"
    path.write_text(script(text, "prefect"))
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)

    run(path, tmp_path, seconds=100)
